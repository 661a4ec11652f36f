#include "engine/compaction/merge_room.h"

#include <algorithm>

#include "engine/bundle/bundle.h"

namespace lsmkv {

namespace {

std::uint64_t BytesOf(const std::vector<TablePtr>& tables) {
  std::uint64_t bytes = 0;
  for (const TablePtr& table : tables) bytes += table->record().size_bytes;
  return bytes;
}

void KeepOnly(const std::set<std::uint64_t>& ids, std::vector<TablePtr>* tables) {
  std::erase_if(*tables, [&](const TablePtr& table) { return !ids.contains(table->id()); });
}

}  // namespace

std::uint64_t BytesOf(const Merge& merge) {
  if (merge.step_bytes != 0) return merge.step_bytes;
  std::uint64_t bytes = merge.incoming == nullptr ? 0 : merge.incoming->size_bytes();
  for (const LevelInputs& level : merge.inputs) {
    bytes += BytesOf(level.tables);
    for (const TablePtr& table : level.tables) {
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

void GaveUp::Add(const Merge& merge, std::uint64_t room_bytes) {
  if (room_of_.size() >= kMost) room_of_.clear();
  room_of_[InputIdsOf(merge)] = room_bytes;
}

bool GaveUp::Holds(const Merge& merge, std::uint64_t room_bytes) const {
  const auto tried = room_of_.find(InputIdsOf(merge));
  return tried != room_of_.end() && room_bytes - std::min(room_bytes, tried->second) <= tried->second / 4;
}

std::optional<Merge> NextStep(const Merge& merge, std::span<const MergeSteps> begun, std::uint64_t room_bytes) {
  if (merge.incoming != nullptr || merge.inputs.size() < 2 || merge.inputs.back().level != merge.target) return {};
  Merge step{merge.inputs, merge.target, merge.reason + "; in steps, for want of room on the disk"};
  std::vector<TablePtr> targets = std::move(step.inputs.back().tables);
  step.inputs.pop_back();
  const std::set<std::uint64_t> sources = InputIdsOf(step);
  const auto reached = std::ranges::find_if(begun, [&](const MergeSteps& steps) {
    return steps.target == merge.target && std::ranges::includes(sources, steps.sources);
  });
  if (reached != begun.end()) {
    for (LevelInputs& level : step.inputs) KeepOnly(reached->sources, &level.tables);
    std::erase_if(step.inputs, [](const LevelInputs& level) { return level.tables.empty(); });
    step.bounds.begin = reached->next_key;
  }
  std::uint64_t source_bytes = 0;
  for (const LevelInputs& level : step.inputs) source_bytes += BytesOf(level.tables);
  const double sources_per_target = static_cast<double>(source_bytes) / static_cast<double>(std::max<std::uint64_t>(1, BytesOf(targets)));

  const std::string last_key = SpanOf(step).largest;
  std::erase_if(targets, [&](const TablePtr& table) {
    return table->record().smallest_key > last_key || (step.bounds.begin && table->record().largest_key < *step.bounds.begin);
  });
  // The target's tables may have been cut anew since, by another merge: whoever takes one takes all of it.
  if (step.bounds.begin && !targets.empty()) step.bounds.begin = std::min(*step.bounds.begin, targets.front()->record().smallest_key);
  LevelInputs taken{merge.target, {}};
  for (const TablePtr& table : targets) {
    const std::uint64_t table_bytes = table->record().size_bytes;
    const auto with_sources = static_cast<std::uint64_t>(static_cast<double>(table_bytes) * (1 + sources_per_target));
    if (step.step_bytes + with_sources > room_bytes) {
      if (taken.tables.empty()) return {};
      step.bounds.end = table->record().smallest_key;
      break;
    }
    step.step_bytes += with_sources;
    taken.tables.push_back(table);
  }
  // Behind the target's last table there may be some of the sources left, and there always are the sources to be removed.
  step.step_bytes = std::max<std::uint64_t>(step.step_bytes, 1);
  if (!taken.tables.empty()) step.inputs.push_back(std::move(taken));
  return step;
}

void NoteStep(const Merge& step, std::vector<MergeSteps>* begun) {
  if (!step.bounds.end) return;      // the last one
  MergeSteps reached{{}, step.target, *step.bounds.end};
  for (const LevelInputs& level : step.inputs) {
    if (level.level == step.target) continue;
    for (const TablePtr& table : level.tables) reached.sources.insert(table->id());
  }
  const auto shares_source = [&](std::uint64_t id) { return reached.sources.contains(id); };
  std::erase_if(*begun, [&](const MergeSteps& steps) {
    return steps.target == reached.target && std::ranges::any_of(steps.sources, shares_source);
  });
  begun->push_back(std::move(reached));
}

}  // namespace lsmkv
