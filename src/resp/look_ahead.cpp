#include "resp/look_ahead.h"

#include "resp/quick_number.h"

namespace lsmkv::resp {
namespace {

constexpr std::size_t kMostWords = 32;

/// What is behind the command at `at`, or null.
const char* SkipCommand(const char* at, const char* end, CommandAhead* command) {
  std::size_t words = 0;
  if (at == end || *at != '*' || (at = QuickNumber(at + 1, end, &words)) == nullptr) return nullptr;
  if (words < 2 || words > kMostWords) return nullptr;
  for (std::size_t i = 0; i < words; ++i) {
    std::size_t bytes = 0;
    if (at == end || *at != '$' || (at = QuickNumber(at + 1, end, &bytes)) == nullptr) return nullptr;
    if (static_cast<std::size_t>(end - at) < bytes + kLineEndBytes) return nullptr;
    if (i == 1) command->key = {at, bytes};
    at += bytes + kLineEndBytes;
  }
  command->only_key = words == 2;
  return at;
}

}  // namespace

std::size_t LookAhead(std::string_view buffer, std::span<CommandAhead> ahead) {
  const char* at = buffer.data();
  const char* const end = at + buffer.size();
  std::size_t found = 0;
  while (found < ahead.size() && (at = SkipCommand(at, end, &ahead[found])) != nullptr) ++found;
  return found;
}

}  // namespace lsmkv::resp
