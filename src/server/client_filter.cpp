#include "server/client_filter.h"

#include <algorithm>

namespace lsmkv {

bool Matches(const ClientFilter& filter, const ClientState& client, std::uint64_t now_ms) {
  if (filter.id && *filter.id != client.id) return false;
  if (!filter.ids.empty() && std::ranges::find(filter.ids, client.id) == filter.ids.end()) return false;
  if (!filter.address.empty() && filter.address != client.address) return false;
  if (!filter.local_address.empty() && filter.local_address != client.local_address) return false;
  if (!filter.user.empty() && filter.user != client.user) return false;
  if (!filter.type.empty() && filter.type != "normal") return false;   // there are no replicas or subscribers
  if (filter.max_age_seconds) {
    const std::uint64_t age_ms = now_ms - std::min(now_ms, client.created_ms);
    if (age_ms / 1000 < *filter.max_age_seconds) return false;
  }
  return !(filter.skip_id && *filter.skip_id == client.id);
}

std::string WriteRefused(const Status& why) {
  std::string text = "-MISCONF the write-ahead log cannot take the write, so it is not safe: " + why.message();
  std::ranges::replace_if(text, [](char c) { return c == '\r' || c == '\n'; }, ' ');
  return text + "\r\n";
}

}  // namespace lsmkv
