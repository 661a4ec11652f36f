// Keys of any type, by name: DEL, EXISTS, TYPE, and a key's way to another name or database.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_set>

#include "commands/generic_access.h"

namespace lsmkv {
namespace {

/// Tells a key's first mention in a command from the later ones. No allocation for few keys.
class Mentions {
 public:
  explicit Mentions(std::span<const std::string_view> keys) : keys_(keys) {
    if (keys.size() > kFew) seen_.reserve(keys.size());
  }
  bool IsFirst(std::size_t index) {
    if (keys_.size() > kFew) return seen_.insert(keys_[index]).second;
    const auto before = keys_.first(index);
    return std::ranges::find(before, keys_[index]) == before.end();
  }

 private:
  static constexpr std::size_t kFew = 16;
  std::span<const std::string_view> keys_;
  std::unordered_set<std::string_view> seen_;
};

Outcome DeleteKeys(CommandContext& context) {
  const std::span<const std::string_view> keys = context.args.subspan(1);
  if (TooManyForLoop(context, keys.size())) return Outcome::kWouldBlock;
  Operation operation = Begin(context);
  if (Status status = operation.LockSeveral(keys); !status.ok()) return Fail(context, status);
  Mentions mentions(keys);
  std::int64_t deleted = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!mentions.IsFirst(i)) continue;
    const Result<std::optional<Record>> record = operation.Read(keys[i]);
    if (!record) return Fail(context, record.error());
    if (!*record) continue;   // no tombstone for what is not there
    operation.Delete(keys[i]);
    ++deleted;
  }
  if (Status status = operation.Commit(); !status.ok()) return Fail(context, status);
  context.reply.Integer(deleted);
  return Outcome::kDone;
}

/// A key that is named twice counts twice.
Outcome CountExisting(CommandContext& context) {
  const std::span<const std::string_view> keys = context.args.subspan(1);
  if (TooManyForLoop(context, keys.size())) return Outcome::kWouldBlock;
  Operation operation = Begin(context);
  if (keys.size() > 1) {
    if (Status status = operation.ReadOneMoment(); !status.ok()) return Fail(context, status);
  }
  std::int64_t found = 0;
  for (const std::string_view key : keys) {
    const Result<std::optional<Record>> record = operation.Read(key);
    if (!record) return Fail(context, record.error());
    if (*record) ++found;
  }
  context.reply.Integer(found);
  return Outcome::kDone;
}

Outcome Rename(CommandContext& context, bool only_if_new) {
  const std::string_view from = context.args[1];
  const std::string_view to = context.args[2];
  Operation operation = Begin(context);
  if (Status status = operation.LockSeveral(context.args.subspan(1)); !status.ok()) return Fail(context, status);
  const Result<std::optional<Record>> source = operation.Read(from);
  if (!source) return Fail(context, source.error());
  if (!*source) return Fail(context, kNoSuchKey);
  bool renames = from != to;
  if (renames && only_if_new) {
    const Result<std::optional<Record>> target = operation.Read(to);
    if (!target) return Fail(context, target.error());
    renames = !*target;
  }
  if (renames) {
    operation.PutRecord(operation.database(), to, **source, (*source)->expire_at_ms());
    operation.Delete(from);
  }
  if (Status status = operation.Commit(); !status.ok()) return Fail(context, status);
  if (only_if_new) {
    context.reply.Integer(renames ? 1 : 0);
  } else {
    context.reply.Ok();
  }
  return Outcome::kDone;
}

struct CopyOptions {
  std::uint32_t database = 0;
  bool replace = false;
};

/// Nothing when they make no sense, and the error has been written.
std::optional<CopyOptions> CopyOptionsOrReply(CommandContext& context) {
  CopyOptions options{context.client.database, false};
  for (std::size_t i = 3; i < context.args.size(); ++i) {
    if (EqualsIgnoringCase(context.args[i], "replace")) {
      options.replace = true;
    } else if (EqualsIgnoringCase(context.args[i], "db") && i + 1 < context.args.size()) {
      const std::optional<std::uint32_t> database = DatabaseOrReply(context, context.args[++i]);
      if (!database) return std::nullopt;
      options.database = *database;
    } else {
      context.reply.Error(kSyntaxError);
      return std::nullopt;
    }
  }
  return options;
}

}  // namespace

Outcome HandleDel(CommandContext& context) { return DeleteKeys(context); }
Outcome HandleUnlink(CommandContext& context) { return DeleteKeys(context); }
Outcome HandleExists(CommandContext& context) { return CountExisting(context); }
Outcome HandleTouch(CommandContext& context) { return CountExisting(context); }   // there is no idle time to set back

Outcome HandleType(CommandContext& context) {
  Operation operation = Begin(context);
  const Result<std::optional<Record>> record = operation.Read(context.args[1]);
  if (!record) return Fail(context, record.error());
  context.reply.SimpleString(*record ? ValueTypeName((*record)->type()) : "none");
  return Outcome::kDone;
}

Outcome HandleRename(CommandContext& context) { return Rename(context, false); }
Outcome HandleRenamenx(CommandContext& context) { return Rename(context, true); }

Outcome HandleCopy(CommandContext& context) {
  const std::optional<CopyOptions> options = CopyOptionsOrReply(context);
  if (!options) return Outcome::kDone;
  const std::string_view from = context.args[1];
  const std::string_view to = context.args[2];
  if (options->database == context.client.database && from == to) return Fail(context, kSameObject);
  Operation operation = Begin(context);
  if (Status status = operation.LockSeveral(context.args.subspan(1, 2)); !status.ok()) return Fail(context, status);
  operation.CountReads(true);
  const Result<std::optional<Record>> source = operation.Read(from);
  operation.CountReads(false);
  if (!source) return Fail(context, source.error());
  bool copies = source->has_value();
  if (copies && !options->replace) {
    const Result<std::optional<Record>> target = operation.Read(options->database, to);
    if (!target) return Fail(context, target.error());
    copies = !*target;
  }
  if (copies) operation.PutRecord(options->database, to, **source, (*source)->expire_at_ms());
  if (Status status = operation.Commit(); !status.ok()) return Fail(context, status);
  context.reply.Integer(copies ? 1 : 0);
  return Outcome::kDone;
}

Outcome HandleMove(CommandContext& context) {
  const std::optional<std::uint32_t> database = DatabaseOrReply(context, context.args[2]);
  if (!database) return Outcome::kDone;
  if (*database == context.client.database) return Fail(context, kSameObject);
  const std::string_view key = context.args[1];
  Operation operation = Begin(context);
  if (Status status = operation.Lock(key); !status.ok()) return Fail(context, status);
  const Result<std::optional<Record>> source = operation.Read(key);
  if (!source) return Fail(context, source.error());
  const Result<std::optional<Record>> target = operation.Read(*database, key);
  if (!target) return Fail(context, target.error());
  const bool moves = *source && !*target;
  if (moves) {
    operation.PutRecord(*database, key, **source, (*source)->expire_at_ms());
    operation.Delete(key);
  }
  if (Status status = operation.Commit(); !status.ok()) return Fail(context, status);
  context.reply.Integer(moves ? 1 : 0);
  return Outcome::kDone;
}

}  // namespace lsmkv
