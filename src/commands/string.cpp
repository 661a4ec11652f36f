// Strings, whole: GET, SET and what is made of them. GET and SET are the hot path: no allocation, one copy of the value.
#include <optional>
#include <string_view>

#include "commands/generic_access.h"
#include "commands/string_options.h"

namespace lsmkv {
namespace {

void ReplyValueOrNull(resp::Writer& reply, const StringRead& read) {
  if (read.found()) {
    reply.Bulk(read.value(), read.block());
  } else {
    reply.Null();
  }
}

/// A plain write of one key, whatever it held.
Outcome Overwrite(CommandContext& context, std::string_view key, std::string_view value, std::uint64_t deadline) {
  Operation operation = Begin(context);
  if (Status status = operation.Lock(key); !status.ok()) return Fail(context, status);
  operation.PutString(key, value, deadline);
  if (Status status = operation.Commit(); !status.ok()) return Fail(context, status);
  context.reply.Ok();
  return Outcome::kDone;
}

/// SET with options that depend on what is there: NX, XX, GET, KEEPTTL.
Outcome SetDependingOnOld(CommandContext& context, const StringOptions& options, std::uint64_t deadline) {
  const std::string_view key = context.args[1];
  Operation operation = Begin(context);
  if (Status status = operation.Lock(key); !status.ok()) return Fail(context, status);
  StringRead old;
  std::optional<Record> record;   // of any type: only GET asks for a string
  if (options.Has(kGet)) {
    operation.CountReads(true);
    Result<StringRead> read = operation.ReadString(key);
    if (!read) return Fail(context, read.error());
    if (read->wrong_type()) return Fail(context, kWrongType);
    old = std::move(*read);
  } else {
    Result<std::optional<Record>> read = operation.Read(key);
    if (!read) return Fail(context, read.error());
    record = std::move(*read);
  }
  const bool exists = old.found() || record.has_value();
  const bool writes = exists ? !options.Has(kNx) : !options.Has(kXx);
  if (writes) {
    const std::uint64_t old_deadline = record ? record->expire_at_ms() : old.expire_at_ms();
    operation.PutString(key, context.args[2], options.Has(kKeepTtl) ? old_deadline : deadline);
    if (Status status = operation.Commit(); !status.ok()) return Fail(context, status);
  }
  if (options.Has(kGet)) {
    ReplyValueOrNull(context.reply, old);
  } else if (writes) {
    context.reply.Ok();
  } else {
    context.reply.Null();
  }
  return Outcome::kDone;
}

Outcome SetWithTime(CommandContext& context, TimeUnit unit) {
  const std::optional<std::uint64_t> deadline = PositiveDeadlineOrReply(context, context.args[2], unit, TimeBase::kNow);
  if (!deadline) return Outcome::kDone;
  return Overwrite(context, context.args[1], context.args[3], *deadline);
}

}  // namespace

Outcome HandleGet(CommandContext& context) {
  Operation operation = Begin(context);
  const Result<StringRead> read = operation.ReadString(context.args[1]);
  if (!read) [[unlikely]] return Fail(context, read.error());
  if (read->wrong_type()) return Fail(context, kWrongType);
  ReplyValueOrNull(context.reply, *read);
  return Outcome::kDone;
}

Outcome HandleSet(CommandContext& context) {
  if (context.args.size() == 3) return Overwrite(context, context.args[1], context.args[2], 0);
  const std::optional<StringOptions> options = ParseStringOptions(context.args.subspan(3), kSetOptions);
  if (!options) return Fail(context, kSyntaxError);
  const std::optional<std::uint64_t> deadline = DeadlineOfOptionsOrReply(context, *options);
  if (!deadline) return Outcome::kDone;
  if (options->Has(kNx | kXx | kGet | kKeepTtl)) return SetDependingOnOld(context, *options, *deadline);
  return Overwrite(context, context.args[1], context.args[2], *deadline);
}

Outcome HandleSetex(CommandContext& context) { return SetWithTime(context, TimeUnit::kSeconds); }
Outcome HandlePsetex(CommandContext& context) { return SetWithTime(context, TimeUnit::kMilliseconds); }

Outcome HandleSetnx(CommandContext& context) {
  const std::string_view key = context.args[1];
  Operation operation = Begin(context);
  if (Status status = operation.Lock(key); !status.ok()) return Fail(context, status);
  const Result<std::optional<Record>> old = operation.Read(key);
  if (!old) return Fail(context, old.error());
  if (!*old) operation.PutString(key, context.args[2]);
  if (Status status = operation.Commit(); !status.ok()) return Fail(context, status);
  context.reply.Integer(*old ? 0 : 1);
  return Outcome::kDone;
}

Outcome HandleGetset(CommandContext& context) {
  const std::string_view key = context.args[1];
  Operation operation = Begin(context);
  if (Status status = operation.Lock(key); !status.ok()) return Fail(context, status);
  operation.CountReads(true);
  const Result<StringRead> old = operation.ReadString(key);
  if (!old) return Fail(context, old.error());
  if (old->wrong_type()) return Fail(context, kWrongType);
  operation.PutString(key, context.args[2]);
  if (Status status = operation.Commit(); !status.ok()) return Fail(context, status);
  ReplyValueOrNull(context.reply, *old);
  return Outcome::kDone;
}

Outcome HandleGetdel(CommandContext& context) {
  const std::string_view key = context.args[1];
  Operation operation = Begin(context);
  if (Status status = operation.Lock(key); !status.ok()) return Fail(context, status);
  operation.CountReads(true);
  const Result<StringRead> old = operation.ReadString(key);
  if (!old) return Fail(context, old.error());
  if (old->wrong_type()) return Fail(context, kWrongType);
  if (old->found()) operation.Delete(key);
  if (Status status = operation.Commit(); !status.ok()) return Fail(context, status);
  ReplyValueOrNull(context.reply, *old);
  return Outcome::kDone;
}

Outcome HandleGetex(CommandContext& context) {
  const std::optional<StringOptions> options = ParseStringOptions(context.args.subspan(2), kGetExOptions);
  if (!options) return Fail(context, kSyntaxError);
  const std::string_view key = context.args[1];
  Operation operation = Begin(context);
  if (options->given != 0) {
    if (Status status = operation.Lock(key); !status.ok()) return Fail(context, status);
  }
  operation.CountReads(true);
  const Result<StringRead> read = operation.ReadString(key);
  if (!read) return Fail(context, read.error());
  if (read->wrong_type()) return Fail(context, kWrongType);
  if (read->found() && options->given != 0) {
    // Redis looks at the time only when there is a key for it.
    const std::optional<std::uint64_t> deadline = DeadlineOfOptionsOrReply(context, *options);
    if (!deadline) return Outcome::kDone;
    const bool changes = *deadline != 0 || read->expire_at_ms() != 0;      // as Redis: the same deadline again is a change for WATCH
    if (changes) operation.PutDeadline(key, read->record, *deadline);
    if (Status status = operation.Commit(); !status.ok()) return Fail(context, status);
  }
  ReplyValueOrNull(context.reply, *read);
  return Outcome::kDone;
}

// ---- several keys

Outcome HandleMget(CommandContext& context) {
  const std::span<const std::string_view> keys = context.args.subspan(1);
  if (TooManyForLoop(context, keys.size())) return Outcome::kWouldBlock;
  const std::size_t reply_before = context.reply.out().size();
  Operation operation = Begin(context);
  if (keys.size() > 1) {
    if (Status status = operation.ReadOneMoment(); !status.ok()) return Fail(context, status);
  }
  constexpr std::size_t kReadTogether = 256;       // what the disk may be asked for at once
  context.reply.Array(keys.size());
  for (std::size_t at = 0; const std::string_view key : keys) {
    if (at % kReadTogether == 0) operation.WillRead(keys.subspan(at, std::min(kReadTogether, keys.size() - at)));
    ++at;
    const Result<StringRead> read = operation.ReadString(key);
    if (!read) {
      context.reply.out().Truncate(reply_before);   // an error takes the place of the whole array
      return Fail(context, read.error());
    }
    ReplyValueOrNull(context.reply, *read);   // another type reads as absent here
    if (!context.may_block && context.reply.out().size() - reply_before > kLongReplyBytes) {
      operation.GiveUp();
      return Outcome::kWouldBlock;
    }
  }
  return Outcome::kDone;
}

namespace {

/// MSET and MSETNX: `args` is the name and then pairs.
Outcome SetSeveral(CommandContext& context, bool only_if_none_exists) {
  if (context.args.size() % 2 == 0) {
    ReplyWrongArity(context.reply, context.spec);
    return Outcome::kDone;
  }
  const std::span<const std::string_view> pairs = context.args.subspan(1);
  if (TooManyForLoop(context, pairs.size() / 2)) return Outcome::kWouldBlock;
  Operation operation = Begin(context);
  if (Status status = operation.LockSeveral(pairs, 2); !status.ok()) return Fail(context, status);
  for (std::size_t i = 0; only_if_none_exists && i < pairs.size(); i += 2) {
    const Result<std::optional<Record>> old = operation.Read(pairs[i]);
    if (!old) return Fail(context, old.error());
    if (!*old) continue;
    context.reply.Integer(0);
    return Outcome::kDone;
  }
  for (std::size_t i = 0; i < pairs.size(); i += 2) operation.PutString(pairs[i], pairs[i + 1]);
  if (Status status = operation.Commit(); !status.ok()) return Fail(context, status);
  if (only_if_none_exists) {
    context.reply.Integer(1);
  } else {
    context.reply.Ok();
  }
  return Outcome::kDone;
}

}  // namespace

Outcome HandleMset(CommandContext& context) { return SetSeveral(context, false); }
Outcome HandleMsetnx(CommandContext& context) { return SetSeveral(context, true); }

}  // namespace lsmkv
