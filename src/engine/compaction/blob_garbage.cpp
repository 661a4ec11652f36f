#include "engine/compaction/blob_garbage.h"

#include <algorithm>

namespace lsmkv {

BlobGarbage::BlobGarbage(const Version& version) {
  for (const auto& [id, usage] : version.blobs()) {
    if (usage.file->unreadable()) continue;
    bytes_ += usage.bytes();
    dead_bytes_ += usage.dead_bytes();
    if (usage.dead_share() >= kLeastDeadBlob) candidates_.push_back(&usage);
  }
  std::ranges::sort(candidates_, [](const BlobUsage* left, const BlobUsage* right) {
    const double left_share = left->dead_share(), right_share = right->dead_share();
    return left_share != right_share ? left_share > right_share : left->file->id() < right->file->id();
  });
  const bool many = dead_share() >= kMoveInPassing;
  const auto most = static_cast<std::uint64_t>(kVictimsShare * static_cast<double>(bytes_));
  std::uint64_t victims_bytes = 0;
  for (const BlobUsage* usage : candidates_) {
    const bool in_turn = many && (victims_.empty() || victims_bytes + usage->bytes() <= most);
    if (!in_turn && usage->dead_share() < kMostlyDeadBlob) break;
    victims_.insert(usage->file->id());
    victims_bytes += usage->bytes();
  }
}

std::set<std::uint64_t> BlobGarbage::WorthMoving(std::span<const TablePtr> tables, std::uint64_t wanted,
                                                 std::uint64_t most_bytes) const {
  std::map<std::uint64_t, std::uint64_t> live;   // bytes of the inputs in each file
  for (const TablePtr& table : tables)
    for (const BlobRef& ref : table->record().blobs) live[ref.id] += ref.live_bytes;
  std::set<std::uint64_t> worth;
  std::uint64_t bytes = 0;
  const auto take = [&](std::uint64_t id) {
    const auto found = live.find(id);
    if (found == live.end() || (!worth.empty() && bytes + found->second > most_bytes)) return;
    if (worth.insert(id).second) bytes += found->second;
  };
  if (wanted != 0) take(wanted);
  for (const BlobUsage* usage : candidates_) {
    if (!IsVictim(usage->file->id())) break;     // victims come first
    take(usage->file->id());
  }
  return worth;
}

}  // namespace lsmkv
