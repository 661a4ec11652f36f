#include "engine/compaction/l0_gather.h"

#include <algorithm>

namespace lsmkv {
namespace {

constexpr double kMuch = 4;                    // of L1 for one of L0
constexpr double kMuchWhileFilling = 1.33;
constexpr std::size_t kMostGathered = 10;      // the next ones come while these are merged: many at once, and L0's count would swing as far
constexpr double kMuchWithinLimit = 0.75;      // the same while L0 is within its hard limit of bytes: it costs nothing to wait there

/// In bytes as well as in entries: tombstones, and small values over large ones, make more room below than they take.
bool WouldDragAlong(const PickerInput& input, double times) {
  if (input.options.max_sstable_bytes == 0) return false;      // one table a level: L1 is rewritten whole by design
  const std::optional<KeySpan> span = SpanOf(input.version.level(0));
  if (!span) return false;
  const LevelFigures below = FiguresOf(input.version.Overlapping(1, span->smallest, span->largest));
  const LevelFigures own = input.version.figures(0);
  return static_cast<double>(below.bytes) > times * static_cast<double>(own.bytes) &&
         static_cast<double>(below.entries) > times * static_cast<double>(own.entries);
}

/// Reached `part` of a limit of bytes or entries, if there is one.
bool HasReached(const LevelFigures& figures, const LevelLimits& limits, std::uint64_t Limit::*limit, double part) {
  const auto reached = [&](std::uint64_t figure, const Limit& of) {
    return of.*limit != 0 && static_cast<double>(figure) >= part * static_cast<double>(of.*limit);
  };
  return reached(figures.bytes, limits.bytes) || reached(figures.entries, limits.entries);
}

/// How many tables L0 may come to have by choice: far enough from where writers are slowed that more can come while it is merged.
std::size_t TablesByChoice(const Options& options) { return options.l0_slowdown_sstables * std::size_t{3} / 5; }

/// From how many on they have to become fewer, whatever it costs.
std::size_t ManyTables(const Options& options) {
  constexpr std::size_t kLeast = 4;          // beyond the limit
  const std::size_t slowdown = options.l0_slowdown_sstables;
  return std::min(slowdown, std::max(TablesByChoice(options), options.max_l0_sstables + kLeast));
}

}  // namespace

L0Way WayOfL0(const PickerInput& input, LimitKind reached) {
  constexpr double kNearLimit = 0.75;
  const LevelFigures figures = input.version.figures(0);
  const LevelLimits limits = LimitsOfLevel(input.options, 0);
  const bool past_limit = HasReached(figures, limits, &Limit::hard, 1);
  const bool may_grow = past_limit || figures.sstables < TablesByChoice(input.options);
  if (input.filling && may_grow && WouldDragAlong(input, past_limit ? kMuchWhileFilling : kMuchWithinLimit)) return L0Way::kLater;
  if (reached == LimitKind::kSstables && !HasReached(figures, limits, &Limit::soft, kNearLimit) && WouldDragAlong(input, kMuch))
    return L0Way::kTooLittle;
  return L0Way::kDown;
}

std::span<const TablePtr> OldestOfL0(const PickerInput& input) {
  constexpr std::uint64_t kMostOfBelow = 2;
  constexpr std::uint64_t kMostOfLimit = 8;
  const std::span<const TablePtr> l0 = input.version.level(0);                   // newest first
  const std::uint64_t limit = LimitsOfLevel(input.options, 0).bytes.hard;
  if (limit == 0 || input.version.level_count() < 2) return l0;
  const std::uint64_t most = std::max(kMostOfBelow * input.version.figures(1).bytes, limit > UINT64_MAX / kMostOfLimit ? UINT64_MAX : kMostOfLimit * limit);
  std::uint64_t bytes = 0;
  std::size_t count = 0;
  while (count < l0.size() && (count == 0 || bytes <= most)) bytes += l0[l0.size() - 1 - count++]->record().size_bytes;
  return l0.last(count);
}

std::size_t WaitingTables(const PickerInput& input) {
  const auto waits = [&](const TablePtr& table) { return !input.busy.IsBusy(table); };
  return static_cast<std::size_t>(std::ranges::count_if(input.version.level(0), waits));
}

std::span<const TablePtr> CheapestNeighbours(const PickerInput& input, const Neighbours& wanted) {
  const std::span<const TablePtr> l0 = input.version.level(0);
  const auto is_after = [&](const TablePtr& table) { return input.ingest_point != 0 && table->record().largest_seq > input.ingest_point; };
  std::span<const TablePtr> best;
  double best_cost = 0;
  for (std::size_t from = 0; from < l0.size(); ++from) {
    std::uint64_t bytes = 0;
    std::uint64_t largest = 0;
    for (std::size_t to = from; to < l0.size() && to - from < wanted.most && !input.busy.IsBusy(l0[to]) && is_after(l0[to]) == is_after(l0[from]); ++to) {
      bytes += l0[to]->record().size_bytes;
      largest = std::max(largest, l0[to]->record().size_bytes);
      if (bytes > wanted.most_bytes) break;
      const std::size_t count = to - from + 1;
      if (count < wanted.least || (wanted.alike && largest > bytes - largest)) continue;
      const double cost = static_cast<double>(bytes) / static_cast<double>(count - 1);
      if (!best.empty() && cost > best_cost) continue;       // of equal ones the oldest: the next may go with those that come
      best = l0.subspan(from, count);
      best_cost = cost;
    }
  }
  return best;
}

std::span<const TablePtr> TablesToGatherWithin(const PickerInput& input, std::uint64_t room_bytes) {
  if (WaitingTables(input) < input.options.l0_slowdown_sstables) return {};
  return CheapestNeighbours(input, {.least = 2, .most = kMostGathered, .most_bytes = room_bytes});
}

std::span<const TablePtr> TablesToGather(const PickerInput& input) {
  constexpr std::size_t kLeast = 4;
  constexpr std::size_t kWorthIt = 8;
  constexpr std::uint64_t kMostOfLimit = 2;  // times L0's hard limit of bytes; what was gathered once is not again, unless that is urgent
  const std::span<const TablePtr> l0 = input.version.level(0);
  const std::size_t waiting = WaitingTables(input);
  const bool urgent = waiting >= input.options.l0_slowdown_sstables;
  const std::size_t many = ManyTables(input.options);
  if (l0.size() < many || (!urgent && waiting < std::min(kWorthIt, many))) return {};
  const std::uint64_t limit = LimitsOfLevel(input.options, 0).bytes.hard;
  const std::uint64_t most_bytes = limit == 0 || limit > UINT64_MAX / kMostOfLimit ? UINT64_MAX : kMostOfLimit * limit;
  const std::span<const TablePtr> tables = CheapestNeighbours(input, {kLeast, kMostGathered, most_bytes, true});
  return tables.empty() && urgent ? CheapestNeighbours(input, {kLeast, kMostGathered, UINT64_MAX, false}) : tables;
}

}  // namespace lsmkv
