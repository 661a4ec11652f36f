// Readers beside a writer. What a reader finds is collected in the thread and judged after it: Catch2 is not thread-safe.
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "memtable_test_util.h"

namespace lsmkv {
namespace {

// The history is a function of the sequence number, so that a reader knows what it must see at any snapshot:
// version s is written to key s % kKeys with the value "s"; every 7th is a tombstone.
constexpr std::uint64_t kKeys = 3000;
constexpr SequenceNumber kWrites = 24'000;

std::string KeyOf(std::uint64_t number) { return "key:" + std::to_string(10'000 + number % kKeys); }
bool IsTombstone(SequenceNumber s) { return s % 7 == 0; }
SequenceNumber NewestAt(std::uint64_t number, SequenceNumber snapshot) {      // 0: none
  if (snapshot < number) return 0;
  return snapshot - (snapshot - number) % kKeys;
}
bool IsRight(const EntryView& e, std::uint64_t number, SequenceNumber snapshot) {
  const SequenceNumber want = NewestAt(number, snapshot);
  return e.sequence == want && e.key == KeyOf(number) &&
         (IsTombstone(want) ? e.kind == EntryKind::kTombstone && e.value.empty()
                            : e.kind == EntryKind::kValue && e.value == std::to_string(want));
}

void Write(MemTable* table, std::atomic<SequenceNumber>* published) {
  for (SequenceNumber s = 1; s <= kWrites; ++s) {
    const std::string key = KeyOf(s);
    const std::string value = IsTombstone(s) ? "" : std::to_string(s);
    table->Add(s, {key, value, 0, 0, IsTombstone(s) ? EntryKind::kTombstone : EntryKind::kValue}, Hash(key));
    if (s % 16 == 0 || s == kWrites) published->store(s, std::memory_order_release);
  }
}

std::uint64_t WrongGets(const MemTable& table, const std::atomic<SequenceNumber>& published, unsigned seed) {
  std::mt19937_64 random(seed);
  std::uint64_t wrong = 0;
  for (SequenceNumber newest = 0; newest < kWrites;) {
    newest = published.load(std::memory_order_acquire);
    const SequenceNumber snapshot = random() % 2 == 0 ? newest : random() % (newest + 1);
    const std::uint64_t number = 1 + random() % kKeys;
    const std::string key = KeyOf(number);
    EntryView entry;
    const bool found = table.Get(key, Hash(key), snapshot, &entry);
    if (found != (NewestAt(number, snapshot) != 0)) ++wrong;
    if (found && !IsRight(entry, number, snapshot)) ++wrong;
  }
  return wrong;
}

std::uint64_t WrongScans(const MemTable& table, const std::atomic<SequenceNumber>& published, unsigned seed) {
  std::mt19937_64 random(seed);
  std::uint64_t wrong = 0;
  for (SequenceNumber newest = 0; newest < kWrites;) {
    newest = published.load(std::memory_order_acquire);
    const SequenceNumber snapshot = random() % 2 == 0 ? newest : random() % (newest + 1);
    const auto iterator = table.NewIterator(snapshot);
    std::uint64_t seen = 0;
    std::string last;
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next(), ++seen) {
      const EntryView& e = iterator->entry();
      const std::uint64_t remainder = std::stoull(std::string(e.key.substr(4))) - 10'000;
      if (!IsRight(e, remainder == 0 ? kKeys : remainder, snapshot) || e.key <= last) ++wrong;
      last = e.key;
    }
    if (seen != std::min<std::uint64_t>(snapshot, kKeys)) ++wrong;
  }
  return wrong;
}

TEST_CASE("readers beside a writer see exactly the versions of their snapshot", "[memtable][threads]") {
  const auto hint = GENERATE(as<std::uint64_t>{}, 0, kKeys);        // 0: the index grows under the readers
  CAPTURE(hint);
  MemTable table({.expected_entries = hint});
  std::atomic<SequenceNumber> published{0};
  std::atomic<std::uint64_t> wrong_gets{0};
  std::atomic<std::uint64_t> wrong_scans{0};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] { wrong_gets += WrongGets(table, published, i); });
    threads.emplace_back([&, i] { wrong_scans += WrongScans(table, published, i); });
  }
  Write(&table, &published);
  for (std::thread& thread : threads) thread.join();
  table.Freeze();
  CHECK(wrong_gets == 0);
  CHECK(wrong_scans == 0);
  CHECK(table.entries() == kWrites);
  CHECK(WrongScans(table, published, 99) == 0);
}

TEST_CASE("iterators at no snapshot, beside a writer, cover all that was there before", "[memtable][threads]") {
  MemTable table;
  std::atomic<SequenceNumber> published{0};
  std::atomic<std::uint64_t> wrong{0};
  std::thread reader([&] {
    for (SequenceNumber before = 0; before < kWrites;) {
      before = published.load(std::memory_order_acquire);
      const auto iterator = table.NewIterator(UINT64_MAX);
      std::uint64_t seen = 0;
      for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) ++seen;
      if (seen < std::min<std::uint64_t>(before, kKeys)) ++wrong;
      if (const auto key = table.SampleKey(before); key && !key->starts_with("key:")) ++wrong;
      if (table.keys() > kKeys || table.live_hint() > kKeys || table.entries() < before) ++wrong;
    }
  });
  Write(&table, &published);
  reader.join();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace lsmkv
