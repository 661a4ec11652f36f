#include "commands/slow_log.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/ascii.h"
#include "commands/command.h"

namespace lsmkv {

// The registry has them too.
Outcome HandleAuth(CommandContext& context);
Outcome HandleHello(CommandContext& context);
Outcome HandleConfigSet(CommandContext& context);

namespace {

constexpr std::size_t kMostArguments = 32;
constexpr std::size_t kMostBytes = 128;
constexpr std::string_view kRedacted = "(redacted)";

/// Redis's among them, which this server does not know: whoever sets them here has shown a password nevertheless.
bool IsSecretDirective(std::string_view name) {
  static constexpr std::string_view kSecrets[] = {"requirepass", "masterauth", "masteruser", "tls-key-file-pass", "tls-client-key-file-pass"};
  return std::ranges::any_of(kSecrets, [name](std::string_view secret) { return EqualsIgnoringCase(name, secret); });
}

/// HELLO [version [AUTH user password] [SETNAME name]]: `index` is a user or a password.
bool IsSecretOfHello(std::span<const std::string_view> args, std::size_t index) {
  for (std::size_t i = 2; i < index;) {
    const bool auth = EqualsIgnoringCase(args[i], "auth");
    if (auth && index <= i + 2) return true;
    i += auth ? 3 : 2;
  }
  return false;
}

bool IsSecret(const CommandSpec& spec, std::span<const std::string_view> args, std::size_t index) {
  if (spec.handler == &HandleAuth) return index >= 1;
  if (spec.handler == &HandleHello) return IsSecretOfHello(args, index);
  if (spec.handler == &HandleConfigSet) return index >= 3 && index % 2 == 1 && IsSecretDirective(args[index - 1]);
  return false;
}

std::string Cut(std::string_view arg) {
  if (arg.size() <= kMostBytes) return std::string(arg);
  return fmt::format("{}... ({} more bytes)", arg.substr(0, kMostBytes), arg.size() - kMostBytes);
}

}  // namespace

std::vector<std::string> SlowArguments(const CommandSpec& spec, std::span<const std::string_view> args) {
  const bool too_many = args.size() > kMostArguments;
  const std::size_t kept = too_many ? kMostArguments - 1 : args.size();
  std::vector<std::string> shown;
  shown.reserve(kept + 1);
  for (std::size_t i = 0; i < kept; ++i) shown.push_back(IsSecret(spec, args, i) ? std::string(kRedacted) : Cut(args[i]));
  if (too_many) shown.push_back(fmt::format("... ({} more arguments)", args.size() - kept));
  return shown;
}

void SlowLog::Add(SlowCommand command) {
  command.client_name = Cut(command.client_name);
  Entry dropped;   // these two are freed when the lock is free again
  const auto entry = std::make_shared<SlowCommand>(std::move(command));
  MutexLock lock(mutex_);
  if (capacity_ == 0) return;
  entry->id = next_id_++;
  entries_.push_front(entry);
  if (entries_.size() <= capacity_) return;
  dropped = std::move(entries_.back());
  entries_.pop_back();
}

std::vector<SlowLog::Entry> SlowLog::Newest(std::size_t count) const {
  MutexLock lock(mutex_);
  const auto wanted = static_cast<std::ptrdiff_t>(std::min(count, entries_.size()));
  return {entries_.begin(), entries_.begin() + wanted};
}

std::size_t SlowLog::size() const {
  MutexLock lock(mutex_);
  return entries_.size();
}

void SlowLog::Clear() {
  std::deque<Entry> dropped;
  MutexLock lock(mutex_);
  dropped.swap(entries_);
}

void SlowLog::SetCapacity(std::size_t entries) {
  std::vector<Entry> dropped;
  MutexLock lock(mutex_);
  capacity_ = entries;
  if (entries_.size() <= capacity_) return;
  const auto first = entries_.begin() + static_cast<std::ptrdiff_t>(capacity_);
  dropped.assign(std::make_move_iterator(first), std::make_move_iterator(entries_.end()));
  entries_.erase(first, entries_.end());
}

}  // namespace lsmkv
