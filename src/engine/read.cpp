// The read path: which view a read uses, and the order in which memtables and levels are asked.
#include <algorithm>
#include <array>
#include <span>

#include "base/hash.h"
#include "base/simulated_thread.h"
#include "engine/engine_impl.h"
#include "engine/iterators/db_iterator.h"
#include "engine/iterators/merging_iterator.h"
#include "engine/sstable/lookup_warmer.h"
#include "engine/version/table_iterators.h"

namespace lsmkv {
namespace {

bool Overlaps(const KeyRange& range, const TablePtr& table) {
  return range.Overlaps(table->record().smallest_key, table->record().largest_key);
}

/// Of a sorted level, the tables that have keys of the range.
std::span<const TablePtr> OverlappingPart(const KeyRange& range, std::span<const TablePtr> level) {
  const auto ends_before = [](const TablePtr& table, const std::string& key) { return table->record().largest_key < key; };
  const auto begins_before = [](const TablePtr& table, const std::string& key) { return table->record().smallest_key < key; };
  const auto first = std::lower_bound(level.begin(), level.end(), range.begin, ends_before);
  const auto last = range.end.empty() ? level.end() : std::lower_bound(level.begin(), level.end(), range.end, begins_before);
  return first < last ? std::span<const TablePtr>(first, last) : std::span<const TablePtr>();
}

}  // namespace

struct EngineImpl::PinnedSnapshot final : Snapshot {
  explicit PinnedSnapshot(View pinned) : view(std::move(pinned)) {}
  SequenceNumber sequence() const override { return view.sequence; }
  const View view;
};

EngineImpl::View EngineImpl::ConsistentView() const {
  // A view whose memtable was still the active one when the sequence number was read holds all of it, and its tables hold
  // nothing newer. Ends as soon as no rotation falls between the two reads.
  while (true) {
    SuperVersionPtr before = tree_->Current();
    SwitchPoint();
    const SequenceNumber sequence = visible_.load(std::memory_order_acquire);
    if (tree_->Current() == before) return {std::move(before), sequence};
  }
}

EngineImpl::View EngineImpl::ViewFor(const ReadOptions& options) const {
  if (options.snapshot == nullptr) return ConsistentView();
  return static_cast<const PinnedSnapshot&>(*options.snapshot).view;
}

std::shared_ptr<const Snapshot> EngineImpl::GetSnapshot() { return std::make_shared<PinnedSnapshot>(ConsistentView()); }

Result<std::optional<PinnedValue>> EngineImpl::Get(std::string_view key, const ReadOptions& options) {
  const auto* snapshot = static_cast<const PinnedSnapshot*>(options.snapshot.get());
  const std::uint64_t ticket = context_.tables->row_cache.Ticket();      // first of all: row_cache.h
  SwitchPoint();
  const SequenceNumber sequence = snapshot != nullptr ? snapshot->view.sequence : visible_.load(std::memory_order_acquire);
  SwitchPoint();
  const SuperVersionPtr& view = snapshot != nullptr ? snapshot->view.super_version : tree_->View();
  const std::uint64_t hash = Hash(key);
  context_.tables->row_cache.PrefetchSlots(hash);      // comes while the memtables are asked
  const auto answer = [&view](const EntryView& entry) -> std::optional<PinnedValue> {
    if (entry.kind == EntryKind::kTombstone) return std::nullopt;
    return PinnedValue(entry.value, ExpiryOf(entry), view);
  };
  EntryView entry;
  if (view->active.table->Get(key, hash, sequence, &entry)) return answer(entry);
  for (const Memory& memory : view->immutables)
    if (memory.table->Get(key, hash, sequence, &entry)) return answer(entry);
  if (snapshot != nullptr) return TimedGetFromTables(view, key, hash, options);
  RowRef row = context_.tables->row_cache.Find(key, hash);
  // What has expired may be gone from the tables already: they are the ones to say, also when the clock has gone back since.
  if (row != nullptr && !MayHaveExpired(row->expire_at_ms())) {
    const Row& there = *row;
    return PinnedValue(there.value(), there.expire_at_ms(), std::move(row));
  }
  Result<std::optional<PinnedValue>> found = TimedGetFromTables(view, key, hash, options);
  if (options.fill_cache && found && found->has_value()) {
    SwitchPoint();
    context_.tables->KeepRow(ticket, key, hash, (*found)->data(), (*found)->expire_at_ms());
  }
  return found;
}

bool EngineImpl::MayHaveExpired(std::uint64_t expire_at_ms) const {
  if (expire_at_ms == 0) return false;
  return HasExpired(expire_at_ms, context_.clock.WallMillis()) || expire_at_ms <= context_.expired_deadline_ms.load(std::memory_order_relaxed);
}

Result<std::optional<PinnedValue>> EngineImpl::TimedGetFromTables(const SuperVersionPtr& view, std::string_view key,
                                                                  std::uint64_t hash, const ReadOptions& options) const {
  if (options.memory_only) return GetFromTables(view, key, hash, options);
  const std::chrono::microseconds start = context_.clock.Monotonic();
  Result<std::optional<PinnedValue>> found = GetFromTables(view, key, hash, options);
  foreground_.Add(context_.clock.Monotonic() - start);
  return found;
}

Status EngineImpl::FindInTables(const Version& version, std::string_view key, std::uint64_t hash, ReadMode mode, TableGetResult* found) {
  CandidateTables candidates(version, key);
  while (const TablePtr* const table = candidates.Next()) {
    const Result<bool> hit = (*table)->Get(key, hash, mode, found);
    if (!hit) return hit.error();
    if (*hit) return Status();
  }
  found->found = false;
  return Status();
}

Result<std::optional<PinnedValue>> EngineImpl::GetFromTables(const SuperVersionPtr& view, std::string_view key,
                                                             std::uint64_t hash, const ReadOptions& options) const {
  const ReadMode read{.memory_only = options.memory_only, .fill_cache = options.fill_cache, .large_values = options.large_values};
  TableGetResult found;
  if (Status status = FindInTables(*view->version, key, hash, read, &found); !status.ok()) return status;
  const EntryView& entry = found.entry;
  if (!found.found || entry.kind == EntryKind::kTombstone) return std::nullopt;
  if (entry.kind != EntryKind::kBlob) {
    const bool most_of_block = entry.value.size() >= found.pin_bytes / 2;      // large values are, unless blocks are large, too
    return PinnedValue(entry.value, ExpiryOf(entry), std::move(found.pin),
                       most_of_block ? PinnedValue::Keeps::kBlock : PinnedValue::Keeps::kView);
  }
  Result<PinnedValue> value = view->version->ReadBlob(entry, hash, read);
  if (!value) return value.error();
  return std::move(*value);
}

/// Where a block lies the index says, and where a large value lies its block: so one stage after the other, each of which asks for
/// what all keys have to read before anything of it is waited for.
void EngineImpl::WillRead(std::span<const std::string_view> keys, const ReadOptions& options) {
  struct Upcoming {
    std::string_view key;
    std::uint64_t hash;
    AskedFor asked = AskedFor::kIndex;
  };
  const View view = ViewFor(options);
  const SuperVersion& now = *view.super_version;
  std::vector<Upcoming> upcoming;
  for (const std::string_view key : keys) {
    const std::uint64_t hash = Hash(key);
    EntryView entry;
    const auto holds = [&](const Memory& memory) { return memory.table->Get(key, hash, view.sequence, &entry); };
    if (!holds(now.active) && std::ranges::none_of(now.immutables, holds)) upcoming.push_back({key, hash});
  }
  const auto ask = [&](ReadMode mode) {
    for (Upcoming& read : upcoming) {
      if (read.asked != AskedFor::kIndex) continue;
      read.asked = AskedFor::kNothing;
      CandidateTables candidates(*now.version, read.key);
      while (const TablePtr* const table = candidates.Next())
        if ((read.asked = (*table)->WillRead(read.key, read.hash, mode, !options.memory_only)) != AskedFor::kNothing) break;
    }
  };
  ask({.memory_only = true});
  if (options.memory_only) return;
  const ReadMode waiting{.fill_cache = options.fill_cache};
  ask(waiting);
  if (now.version->blobs().empty()) return;
  for (const Upcoming& read : upcoming) {
    TableGetResult found;
    if (read.asked != AskedFor::kNothing && FindInTables(*now.version, read.key, read.hash, waiting, &found).ok() && found.found &&
        found.entry.kind == EntryKind::kBlob) {
      now.version->WillReadBlob(found.entry);
    }
  }
}

bool EngineImpl::WarmingPays() const {
  constexpr std::uint64_t kFewKeys = 8192;        // the processor's caches have them anyway
  const SuperVersion& view = *tree_->View();
  return view.active.table->keys() > kFewKeys || !view.immutables.empty() || view.version->level_count() > 1 ||
         !view.version->level(0).empty();
}

void EngineImpl::Warm(std::span<const UpcomingKey> keys) {
  keys = keys.first(std::min(keys.size(), kMostWarmed));
  const SuperVersion& view = *tree_->View();
  const RowCache& rows = context_.tables->row_cache;
  std::array<std::uint64_t, kMostWarmed> hashes;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    hashes[i] = Hash(keys[i].key);
    if (keys[i].read) rows.PrefetchSlots(hashes[i]);
    view.active.table->Prefetch(hashes[i]);
    for (const Memory& memory : view.immutables) memory.table->Prefetch(hashes[i]);
  }
  std::array<KeyAndHash, kMostWarmed> in_tables;
  std::size_t count = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto has = [hash = hashes[i]](const Memory& memory) { return memory.table->PrefetchNode(hash); };
    if (has(view.active) || std::ranges::any_of(view.immutables, has) || !keys[i].read) continue;
    if (!rows.PrefetchRow(hashes[i])) in_tables[count++] = {keys[i].key, hashes[i]};
  }
  if (count > 1) WarmTables(*view.version, std::span(in_tables).first(count));
}

void EngineImpl::WarmTables(const Version& version, std::span<const KeyAndHash> keys) {
  constexpr int kMostTables = 4;       // asked for one key; the first whose filter knows it nearly always has it
  struct Lookup {
    CandidateTables tables;
    KeyAndHash key;
    LookupWarmer warmer;
  };
  std::array<Lookup, kMostWarmed> lookups;
  for (std::size_t i = 0; i < keys.size(); ++i) lookups[i] = {CandidateTables(version, keys[i].key), keys[i], {}};
  std::span<Lookup> under_way(lookups.data(), keys.size());
  for (int round = 0; round < kMostTables && !under_way.empty(); ++round) {
    for (Lookup& lookup : under_way) {
      const TablePtr* const table = lookup.tables.Next();
      lookup.warmer.Begin(table != nullptr ? (*table)->PinOpen() : TablePin(), lookup.key.key, lookup.key.hash);
    }
    for (int step = 0; step < LookupWarmer::kSteps; ++step)
      for (Lookup& lookup : under_way) lookup.warmer.Step(step);
    const auto ended = std::ranges::partition(under_way, [](const Lookup& lookup) { return lookup.warmer.filtered_out(); });
    under_way = under_way.first(under_way.size() - ended.size());
  }
}

std::unique_ptr<Iterator> EngineImpl::NewIterator(const ReadOptions& options) {
  const View view = ViewFor(options);
  const Version& version = *view.super_version->version;
  constexpr std::uint64_t kReadaheadBytes = 256 << 10;     // reached only while the reading is sequential
  const IteratorOptions read{.fill_cache = options.fill_cache, .readahead_bytes = kReadaheadBytes};
  DbIteratorOptions iterate;
  iterate.now_ms = options.now_ms != 0 ? options.now_ms : context_.clock.WallMillis();
  iterate.range = KeyRange::Of(options);
  iterate.max_skipped = options.max_skipped;
  // The iterator's pin keeps the version.
  iterate.read_blob = [&version, fill_cache = options.fill_cache](const EntryView& entry) {
    return version.ReadBlob(entry, Hash(entry.key), {.memory_only = false, .fill_cache = fill_cache});
  };
  std::vector<std::unique_ptr<InternalIterator>> sources;
  sources.push_back(view.super_version->active.table->NewIterator(view.sequence));
  for (const Memory& memory : view.super_version->immutables) sources.push_back(memory.table->NewIterator(view.sequence));
  for (const TablePtr& table : version.level(0))
    if (Overlaps(iterate.range, table)) sources.push_back(NewLazyTableIterator(table, read));
  for (std::uint32_t n = 1; n < version.level_count(); ++n) {
    const std::span<const TablePtr> tables = OverlappingPart(iterate.range, version.level(n));
    if (!tables.empty()) sources.push_back(NewLevelIterator(tables, read));
  }
  return std::make_unique<DbIterator>(std::make_unique<MergingIterator>(std::move(sources)),
                                      std::vector<std::shared_ptr<const void>>{view.super_version}, std::move(iterate));
}

Result<std::optional<std::string>> EngineImpl::SampleKey(std::string_view begin, std::string_view end, std::uint64_t random) {
  const View view = ConsistentView();
  const SuperVersion& now = *view.super_version;
  struct Source {
    const MemTable* memtable;
    const TablePtr* table;
    std::uint64_t entries;
  };
  std::vector<Source> sources;
  std::uint64_t total = 0;
  const auto add = [&](const MemTable* memtable, const TablePtr* table, std::uint64_t entries) {
    if (entries == 0) return;
    sources.push_back({memtable, table, entries});
    total += entries;
  };
  add(now.active.table.get(), nullptr, now.active.table->keys());
  for (const Memory& memory : now.immutables) add(memory.table.get(), nullptr, memory.table->keys());
  for (std::uint32_t n = 0; n < now.version->level_count(); ++n) {
    for (const TablePtr& table : now.version->level(n)) {
      const TableRecord& record = table->record();
      const bool overlaps = record.largest_key >= begin && (end.empty() || record.smallest_key < end);
      if (overlaps) add(nullptr, &table, record.entries);
    }
  }
  // Each source in turn from a random one on, since the one drawn may hold no key of the range.
  std::uint64_t place = total == 0 ? 0 : random % total;
  std::size_t drawn = 0;
  while (drawn < sources.size() && place >= sources[drawn].entries) place -= sources[drawn++].entries;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const Source& source = sources[(drawn + i) % sources.size()];
    Result<std::optional<std::string>> key = std::nullopt;
    if (source.memtable != nullptr) {
      key = source.memtable->SampleKey(begin, end, random / 7);
    } else {
      key = (*source.table)->SampleKey(random / 7, begin, end);
    }
    if (!key || key->has_value()) return key;
  }
  return std::nullopt;
}

}  // namespace lsmkv
