#include <limits>

#include "base/numbers.h"
#include "commands/connection.h"
#include "commands/replies.h"

namespace lsmkv {
namespace {

constexpr std::string_view kClientTypes[] = {"normal", "master", "replica", "pubsub"};

bool TakeType(CommandContext& context, std::string_view word, ClientFilter& filter) {
  for (const std::string_view type : kClientTypes) {
    if (EqualsIgnoringCase(word, type)) filter.type = type;
  }
  if (EqualsIgnoringCase(word, "slave")) filter.type = "replica";
  if (!filter.type.empty()) return true;
  std::string text = "ERR Unknown client type '";
  context.reply.Error(text.append(word).append("'"));
  return false;
}

std::optional<std::uint64_t> PositiveNumber(std::string_view word) {
  const std::optional<std::int64_t> number = ParseInt64(word);
  if (!number || *number < 1) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}

bool TakeUser(CommandContext& context, std::string_view word, ClientFilter& filter) {
  filter.user = word;
  if (word == "default") return true;
  std::string text = "ERR No such user '";
  context.reply.Error(text.append(word).append("'"));
  return false;
}

// One option and its value; false when an error was replied.
bool TakeKillOption(CommandContext& context, std::string_view option, std::string_view value, ClientFilter& filter) {
  if (EqualsIgnoringCase(option, "id")) {
    filter.id = PositiveNumber(value);
    if (!filter.id) context.reply.Error("ERR client-id should be greater than 0");
    return filter.id.has_value();
  }
  if (EqualsIgnoringCase(option, "maxage")) {
    filter.max_age_seconds = PositiveNumber(value);
    if (!filter.max_age_seconds) context.reply.Error("ERR maxage should be greater than 0");
    return filter.max_age_seconds.has_value();
  }
  if (EqualsIgnoringCase(option, "type")) return TakeType(context, value, filter);
  if (EqualsIgnoringCase(option, "user")) return TakeUser(context, value, filter);
  if (EqualsIgnoringCase(option, "addr")) return filter.address = value, true;
  if (EqualsIgnoringCase(option, "laddr")) return filter.local_address = value, true;
  if (EqualsIgnoringCase(option, "skipme") && EqualsIgnoringCase(value, "yes")) return filter.skip_id = context.client.id, true;
  if (EqualsIgnoringCase(option, "skipme") && EqualsIgnoringCase(value, "no")) return filter.skip_id.reset(), true;
  context.reply.Error(kSyntaxError);
  return false;
}

}  // namespace

std::optional<ClientFilter> ParseKillFilter(CommandContext& context) {
  ClientFilter filter;
  filter.skip_id = context.client.id;
  for (std::size_t i = 2; i < context.args.size(); i += 2) {
    if (i + 1 == context.args.size()) return context.reply.Error(kSyntaxError), std::nullopt;
    if (!TakeKillOption(context, context.args[i], context.args[i + 1], filter)) return std::nullopt;
  }
  return filter;
}

std::optional<ClientFilter> ParseListFilter(CommandContext& context) {
  const auto args = context.args;
  ClientFilter filter;
  if (args.size() == 2) return filter;
  if (args.size() == 4 && EqualsIgnoringCase(args[2], "type")) {
    if (!TakeType(context, args[3], filter)) return std::nullopt;
    return filter;
  }
  if (args.size() < 4 || !EqualsIgnoringCase(args[2], "id")) return context.reply.Error(kSyntaxError), std::nullopt;
  if (args.size() - 3 > kMostNamesInOne) return Fail(context, TooManyNames("client ids")), std::nullopt;
  for (const std::string_view word : args.subspan(3)) {
    const std::optional<std::int64_t> id = ParseInt64(word);     // one that nobody has is no error
    if (!id) return context.reply.Error("ERR Invalid client ID"), std::nullopt;
    filter.ids.push_back(static_cast<std::uint64_t>(*id));
  }
  return filter;
}

}  // namespace lsmkv
