#include "engine/compaction/merge_room.h"

#include <algorithm>

#include "engine/bundle/bundle.h"

namespace lsmkv {

std::uint64_t BytesOf(const Merge& merge) {
  std::uint64_t bytes = merge.incoming == nullptr ? 0 : merge.incoming->size_bytes();
  for (const LevelInputs& level : merge.inputs) {
    for (const TablePtr& table : level.tables) {
      bytes += table->record().size_bytes;
      for (const BlobRef& blob : table->record().blobs)
        if (merge.blobs_to_empty.contains(blob.id)) bytes += blob.live_bytes;
    }
  }
  return bytes;
}

double LivePart(const Merge& merge) {
  double entries = merge.incoming == nullptr ? 0 : static_cast<double>(merge.incoming->entries());   // all of it lives
  double tombstones = 0;
  for (const LevelInputs& level : merge.inputs) {
    for (const TablePtr& table : level.tables) {
      entries += static_cast<double>(table->record().entries);
      tombstones += static_cast<double>(table->record().tombstones);
    }
  }
  const double values = entries - tombstones;
  return values <= 0 ? 0 : std::max(0.0, values - tombstones) / values;
}

std::set<std::uint64_t> InputIdsOf(const Merge& merge) {
  std::set<std::uint64_t> ids;
  for (const LevelInputs& level : merge.inputs)
    for (const TablePtr& table : level.tables) ids.insert(table->id());
  return ids;
}

}  // namespace lsmkv
