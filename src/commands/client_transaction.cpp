#include "commands/client_transaction.h"

#include <cstring>
#include <utility>

#include "commands/command_doc.h"
#include "commands/server_api.h"
#include "keyspace/transaction.h"

namespace lsmkv {
namespace {

constexpr std::size_t kMostOnLoop = 1000;              // commands and keys: what does not keep others waiting for long
constexpr std::uint64_t kLongToFree = 4u << 20;

std::size_t CountKeys(const CommandSpec& spec, std::size_t words) {
  std::size_t count = 0;
  const auto last_word = static_cast<std::ptrdiff_t>(words) - 1;
  for (const KeySpec& keys : spec.doc->key_specs) {
    const std::ptrdiff_t last = std::min<std::ptrdiff_t>(keys.last < 0 ? last_word + 1 + keys.last : keys.last, last_word);
    if (last >= keys.first) count += static_cast<std::size_t>((last - keys.first) / keys.step) + 1;
  }
  return count;
}

}  // namespace

std::uint64_t QueuedCommand::memory_bytes() const {
  std::uint64_t bytes = sizeof(QueuedCommand) + args.capacity() * sizeof(args[0]);
  if (copy == nullptr) return bytes + mapped.size();
  for (const std::string_view arg : args) bytes += arg.size();
  return bytes;
}

void ClientTransaction::Queue(const CommandSpec& spec, std::span<const std::string_view> args, MappedMemory mapped) {
  QueuedCommand command{&spec, nullptr, std::move(mapped), {args.begin(), args.end()}};
  if (command.mapped.data() == nullptr) {
    std::size_t bytes = 0;
    for (const std::string_view arg : args) bytes += arg.size();
    command.copy = std::make_unique_for_overwrite<char[]>(bytes);
    char* at = command.copy.get();
    for (std::string_view& arg : command.args) {
      if (!arg.empty()) std::memcpy(at, arg.data(), arg.size());
      arg = {at, arg.size()};
      at += arg.size();
    }
  }
  const bool touches_keys = (spec.flags & (kWrite | kReadOnly)) != 0;
  const std::size_t named = CountKeys(spec, args.size());
  keys += named;
  names_no_keys = names_no_keys || (touches_keys && named == 0);
  has_other_effects = has_other_effects || (spec.flags & (kWrite | kReadOnly | kFast)) == 0;
  needs_pool = needs_pool || spec.runs_on != RunsOn::kLoop;
  needs_admin = needs_admin || spec.runs_on == RunsOn::kAdminPool;
  flags |= spec.flags;
  queued_bytes += command.memory_bytes();
  queue.push_back(std::move(command));
}

void ClientTransaction::DropQueue(ServerApi& server) {
  if (queued_bytes >= kLongToFree) {
    server.RunOnAdminPool([dropped = std::make_shared<std::vector<QueuedCommand>>(std::move(queue))] { dropped->clear(); });
  }
  std::vector<QueuedCommand>().swap(queue);
  queued_bytes = 0;
  flags = 0;
  keys = 0;
  names_no_keys = has_other_effects = needs_pool = needs_admin = false;
}

void ClientTransaction::Refuse(ServerApi& server) {
  refused = true;
  DropQueue(server);
}

bool ClientTransaction::RunsOnLoop() const {
  return !needs_pool && !names_no_keys && !has_other_effects && queue.size() + keys <= kMostOnLoop && queued_bytes <= Transaction::kLongBytes;
}

void EndTransaction(ClientState& client, ServerApi& server) {
  client.queued_commands = ClientState::kNotInMulti;
  client.transaction_bytes = 0;
  if (client.transaction == nullptr) return;
  client.transaction->DropQueue(server);
  client.transaction->refused = false;
  client.transaction->watches.Clear();
}

void RefuseTransaction(ClientState& client, ServerApi& server) {
  client.transaction->Refuse(server);
  client.transaction_bytes = client.transaction->watches.memory_bytes();
}

std::string ExecRefused(std::string_view error) {
  constexpr std::string_view kGeneric = "ERR ";
  if (error.starts_with(kGeneric)) error.remove_prefix(kGeneric.size());
  return std::string("EXECABORT Transaction discarded because of: ").append(error);
}

}  // namespace lsmkv
