// What the handlers of keys and strings share: how they reach the keyspace, and what is too much for an event loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "commands/command.h"
#include "commands/replies.h"
#include "commands/reply_gate.h"
#include "keyspace/keyspace.h"
#include "keyspace/operation.h"

namespace lsmkv {

/// Commands with more keys than this leave the loop.
inline constexpr std::size_t kManyKeys = 1000;
/// A reply that grows beyond this is written elsewhere.
inline constexpr std::size_t kLongReplyBytes = 4u << 20;

inline Operation Begin(CommandContext& context) {
  return Operation(context.keyspace, context.client.database, context.now_ms, context.may_block, (context.spec.flags & kReadOnly) != 0,
                   context.transaction, context.large_values);
}

/// True: the handler returns kWouldBlock.
inline bool TooManyForLoop(const CommandContext& context, std::size_t keys) {
  return !context.may_block && keys > kManyKeys;
}

/// The physical database behind the client's, here and now.
inline std::uint64_t PhysicalHere(const CommandContext& context) {
  const std::uint32_t database = context.client.database;
  return context.transaction == nullptr ? context.keyspace.Physical(database) : context.transaction->Physical(database);
}

/// The integer in `text`; nothing when there is none, and the error has been written.
std::optional<std::int64_t> IntegerOrReply(CommandContext& context, std::string_view text);

/// As OBJECT ENCODING names it.
std::string_view EncodingOf(const Record& record);

/// A database index; nothing when it is not one, and the error has been written.
std::optional<std::uint32_t> DatabaseOrReply(CommandContext& context, std::string_view text);

}  // namespace lsmkv
