// Deadlines of keys: EXPIRE and its kin, TTL and its kin, PERSIST. A deadline belongs to the version of the value, so setting
// one writes the value again.
#include <cstdint>
#include <optional>
#include <string>

#include "commands/expire_time.h"
#include "commands/generic_access.h"

namespace lsmkv {
namespace {

struct ExpireConditions {
  bool nx = false;
  bool xx = false;
  bool gt = false;
  bool lt = false;
};

/// Nothing when the options make no sense, and the error has been written.
std::optional<ExpireConditions> ConditionsOrReply(CommandContext& context) {
  ExpireConditions conditions;
  for (const std::string_view option : context.args.subspan(3)) {
    if (EqualsIgnoringCase(option, "nx")) {
      conditions.nx = true;
    } else if (EqualsIgnoringCase(option, "xx")) {
      conditions.xx = true;
    } else if (EqualsIgnoringCase(option, "gt")) {
      conditions.gt = true;
    } else if (EqualsIgnoringCase(option, "lt")) {
      conditions.lt = true;
    } else {
      context.reply.Error(std::string("ERR Unsupported option ").append(option));
      return std::nullopt;
    }
  }
  if (conditions.nx && (conditions.xx || conditions.gt || conditions.lt)) {
    context.reply.Error("ERR NX and XX, GT or LT options at the same time are not compatible");
    return std::nullopt;
  }
  if (conditions.gt && conditions.lt) {
    context.reply.Error("ERR GT and LT options at the same time are not compatible");
    return std::nullopt;
  }
  return conditions;
}

/// `current` 0: the key has no deadline, which GT and LT take for infinitely late.
bool Allowed(const ExpireConditions& conditions, std::uint64_t current, std::int64_t deadline) {
  const bool has_deadline = current != 0;
  if (conditions.nx && has_deadline) return false;
  if (conditions.xx && !has_deadline) return false;
  if (conditions.gt && (!has_deadline || deadline <= static_cast<std::int64_t>(current))) return false;
  if (conditions.lt && has_deadline && deadline >= static_cast<std::int64_t>(current)) return false;
  return true;
}

Outcome SetDeadline(CommandContext& context, TimeUnit unit, TimeBase base) {
  const std::optional<ExpireConditions> conditions = ConditionsOrReply(context);
  if (!conditions) return Outcome::kDone;
  const std::optional<std::int64_t> deadline = DeadlineOrReply(context, context.args[2], unit, base);
  if (!deadline) return Outcome::kDone;
  const std::string_view key = context.args[1];
  Operation operation = Begin(context);
  if (Status status = operation.Lock(key); !status.ok()) return Fail(context, status);
  const Result<std::optional<Record>> record = operation.Read(key);
  if (!record) return Fail(context, record.error());
  const bool sets = *record && Allowed(*conditions, (*record)->expire_at_ms(), *deadline);
  if (sets) {
    // What lies at or before now, also before 1970, is a deletion.
    const std::int64_t at_least_1 = *deadline > 0 ? *deadline : 1;
    operation.PutDeadline(key, **record, static_cast<std::uint64_t>(at_least_1));
    operation.MayUseReserve();
  }
  if (Status status = operation.Commit(); !status.ok()) return Fail(context, status);
  context.reply.Integer(sets ? 1 : 0);
  return Outcome::kDone;
}

Outcome ShowDeadline(CommandContext& context, TimeUnit unit, TimeBase base) {
  Operation operation = Begin(context);
  const Result<std::optional<Record>> record = operation.Read(context.args[1]);
  if (!record) return Fail(context, record.error());
  if (!*record) {
    context.reply.Integer(-2);
    return Outcome::kDone;
  }
  const std::uint64_t deadline = (*record)->expire_at_ms();
  if (deadline == 0) {
    context.reply.Integer(-1);
    return Outcome::kDone;
  }
  const std::uint64_t millis = base == TimeBase::kNow ? deadline - context.now_ms : deadline;
  context.reply.Integer(static_cast<std::int64_t>(unit == TimeUnit::kSeconds ? (millis + 500) / 1000 : millis));
  return Outcome::kDone;
}

}  // namespace

Outcome HandleExpire(CommandContext& context) { return SetDeadline(context, TimeUnit::kSeconds, TimeBase::kNow); }
Outcome HandlePexpire(CommandContext& context) { return SetDeadline(context, TimeUnit::kMilliseconds, TimeBase::kNow); }
Outcome HandleExpireat(CommandContext& context) { return SetDeadline(context, TimeUnit::kSeconds, TimeBase::kEpoch); }
Outcome HandlePexpireat(CommandContext& context) { return SetDeadline(context, TimeUnit::kMilliseconds, TimeBase::kEpoch); }

Outcome HandleTtl(CommandContext& context) { return ShowDeadline(context, TimeUnit::kSeconds, TimeBase::kNow); }
Outcome HandlePttl(CommandContext& context) { return ShowDeadline(context, TimeUnit::kMilliseconds, TimeBase::kNow); }
Outcome HandleExpiretime(CommandContext& context) { return ShowDeadline(context, TimeUnit::kSeconds, TimeBase::kEpoch); }
Outcome HandlePexpiretime(CommandContext& context) {
  return ShowDeadline(context, TimeUnit::kMilliseconds, TimeBase::kEpoch);
}

Outcome HandlePersist(CommandContext& context) {
  const std::string_view key = context.args[1];
  Operation operation = Begin(context);
  if (Status status = operation.Lock(key); !status.ok()) return Fail(context, status);
  const Result<std::optional<Record>> record = operation.Read(key);
  if (!record) return Fail(context, record.error());
  const bool persists = *record && (*record)->expire_at_ms() != 0;
  if (persists) operation.PutRecord(operation.database(), key, **record, 0);
  if (Status status = operation.Commit(); !status.ok()) return Fail(context, status);
  context.reply.Integer(persists ? 1 : 0);
  return Outcome::kDone;
}

}  // namespace lsmkv
