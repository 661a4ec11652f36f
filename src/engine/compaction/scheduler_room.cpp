// The part of the scheduler that sees to it that merges find room on the disk.
#include <algorithm>
#include <fmt/core.h>

#include "engine/compaction/l0_gather.h"
#include "engine/compaction/scheduler.h"

namespace lsmkv {
namespace {

/// Steps copy what the sources hold, and the sources go with the last one: whoever begins should have the room to come so far.
bool MayEndFullOf(const Merge& step, std::uint64_t room_bytes) {
  if (step.bounds.begin) return false;      // begun already
  Merge sources = step;
  std::erase_if(sources.inputs, [&](const LevelInputs& level) { return level.level == step.target; });
  sources.step_bytes = 0;
  return BytesOf(sources) + step.step_bytes > room_bytes;
}

}  // namespace

/// Every running merge may write as much as it reads before its inputs go, and what flushes need meanwhile is left to them.
/// Nothing: the disk does not tell, and is written to until it says no.
std::optional<std::uint64_t> Scheduler::RoomForMerge() const {
  const Result<std::uint64_t> free = context_.fs.FreeBytes(context_.options.dir);
  if (!free) return std::nullopt;
  std::uint64_t others = context_.merges_leave_bytes.load(std::memory_order_relaxed);
  for (const auto& [job, running] : merges_) others += BytesOf(running.merge);
  const SuperVersionPtr now = tree_.Current();
  others += now->active.table->bytes();
  for (const Memory& memory : now->immutables) others += memory.table->bytes();
  return *free - std::min(*free, others);
}

Status Scheduler::HasRoomFor(std::uint64_t bytes) const {
  const std::optional<std::uint64_t> room = RoomForMerge();
  if (!room || bytes <= *room) return {};
  return Status::NoSpace(fmt::format("{}: a compaction of {} bytes waits for room: {} are free besides what running compactions and "
                                     "flushes may take", context_.options.dir, bytes, *room));
}

/// `merge`; or where it may not fit a step of it that does, going by what its sources hold for a table below on average, and smaller if such a
/// one has given up; the first only if there is room for the copies of all; or, where a part of
/// the disk is kept, which it may run into, `merge` all the same if what is likely to live on fits. Either gives up should it be more
/// (MergePiece::Pause), and is not tried again before something has succeeded, its tables are others, or there is more room.
Result<Merge> Scheduler::FitToDisk(const Merge& merge) {
  const std::uint64_t most_bytes = BytesOf(merge);
  const Status room = HasRoomFor(most_bytes);
  if (room.ok()) return merge;
  std::set<std::uint64_t> existing;
  const VersionPtr version = tree_.Current()->version;
  for (std::uint32_t n = 0; n < version->level_count(); ++n)
    for (const TablePtr& table : version->level(n)) existing.insert(table->id());
  std::erase_if(steps_, [&](const MergeSteps& steps) { return !std::ranges::includes(existing, steps.sources); });
  const std::uint64_t room_bytes = RoomForMerge().value_or(0);
  for (std::uint64_t most = room_bytes; most > 0; most /= 2) {      // a step that gave up may do in smaller ones
    std::optional<Merge> step = NextStep(merge, steps_, most);
    if (!step) break;
    if (MayEndFullOf(*step, room_bytes)) continue;
    if (!gave_up_.Holds(*step, room_bytes)) return std::move(*step);
  }
  const auto likely_bytes = static_cast<std::uint64_t>(LivePart(merge) * static_cast<double>(most_bytes));
  const bool may_give_up = context_.merges_leave_bytes.load(std::memory_order_relaxed) != 0;
  if (may_give_up && !gave_up_.Holds(merge, room_bytes) && HasRoomFor(likely_bytes).ok()) return merge;
  return room;
}

/// `merge`, or what can be done of it. Errors: kNoSpace.
Result<CompactionPlan> Scheduler::PlanWithinRoom(const PickerInput& input, const Merge& merge) {
  Result<Merge> whole = FitToDisk(merge);
  if (whole) return CompactionPlan(std::move(*whole));
  if (merge.inputs.front().level != 0) return whole.error();
  if (std::optional<CompactionPlan> one = OneOfL0WithinRoom(input, merge)) return std::move(*one);
  if (std::optional<Merge> gathering = GatherWithinRoom(input, merge)) return CompactionPlan(std::move(*gathering));
  return whole.error();
}

/// The tables of L0 may hold what does not overlap, and then some of them need no room to go down at all.
std::optional<CompactionPlan> Scheduler::OneOfL0WithinRoom(const PickerInput& input, const Merge& merge) {
  std::vector<CompactionPlan> plans = PlansOfOneOfL0(input, merge.reason + "; one table, for want of room on the disk");
  const auto bytes = [](const CompactionPlan& plan) { return std::holds_alternative<Merge>(plan) ? BytesOf(std::get<Merge>(plan)) : 0; };
  std::ranges::sort(plans, {}, bytes);
  for (CompactionPlan& plan : plans) {
    const auto* one = std::get_if<Merge>(&plan);
    if (one == nullptr) return std::move(plan);
    if (Result<Merge> fitting = FitToDisk(*one)) return CompactionPlan(std::move(*fitting));
  }
  return {};
}

/// Instead of a merge of L0 that does not fit: at its stop L0 would hold up all writers, the deletions that make room among them.
std::optional<Merge> Scheduler::GatherWithinRoom(const PickerInput& input, const Merge& merge) const {
  if (context_.removal.pending_bytes() != 0) return {};      // that room comes first: LacksRoom()
  const std::span<const TablePtr> tables = TablesToGatherWithin(input, RoomForMerge().value_or(0));
  if (tables.empty()) return {};
  return Merge{{{0, {tables.begin(), tables.end()}}}, 0, merge.reason + ", and finds no room to go down"};
}

void Scheduler::LacksRoom(const Merge& merge, const Status& status) {
  bytes_wanted_.store(BytesOf(merge), std::memory_order_relaxed);
  GiveBackRemoved();
  MergeFailed(status);
}

void Scheduler::GiveBackRemoved() {
  const std::uint64_t kept = context_.removal.pending_bytes();
  if (kept == 0 || removal_pool_.pending() > 0) return;
  removal_pool_.Submit([this, kept] {
    context_.removal.GiveBack(kept);
    Wake();
  });
}

}  // namespace lsmkv
