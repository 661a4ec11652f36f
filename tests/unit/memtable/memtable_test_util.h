// What the memtable's and the iterators' tests share: a model of versions, and iterators over plain vectors.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "engine/internal_iterator.h"
#include "engine/memtable/memtable.h"

namespace lsmkv::test {

/// An entry that owns its bytes.
struct Version {
  std::string key;
  std::string value;
  SequenceNumber sequence = 0;
  std::uint64_t expire_at_ms = 0;
  EntryKind kind = EntryKind::kValue;

  bool operator==(const Version&) const = default;
  EntryView View() const { return {key, value, sequence, expire_at_ms, kind}; }
};

inline Version ToVersion(const EntryView& e) {
  return {std::string(e.key), std::string(e.value), e.sequence, e.expire_at_ms, e.kind};
}

inline void PrintTo(std::ostream& out, const Version& v) { out << v.key << '@' << v.sequence << '=' << v.value; }
inline std::ostream& operator<<(std::ostream& out, const Version& v) {
  PrintTo(out, v);
  return out;
}

inline std::vector<Version> Collect(InternalIterator* iterator) {
  std::vector<Version> all;
  for (; iterator->Valid(); iterator->Next()) all.push_back(ToVersion(iterator->entry()));
  return all;
}
inline std::vector<Version> CollectAll(InternalIterator* iterator) {
  iterator->SeekToFirst();
  return Collect(iterator);
}

/// Iterates a sorted vector. Keeps the current entry in memory that it overwrites at each move, so that a user who holds on
/// to bytes too long is found out. Fails with kCorruption when it would reach entry `fail_at`, from
/// either side; what lies on the far side can be reached from there only.
class VectorIterator final : public InternalIterator {
 public:
  explicit VectorIterator(std::vector<Version> entries, std::size_t fail_at = SIZE_MAX)
      : entries_(std::move(entries)), fail_at_(fail_at), position_(entries_.size()) {}
  bool Valid() const override { return position_ < entries_.size() && position_ != fail_at_; }
  void SeekToFirst() override { MoveTo(0); }
  void Seek(std::string_view target) override {
    const auto first = std::lower_bound(entries_.begin(), entries_.end(), target,
                                        [](const Version& v, std::string_view key) { return v.key < key; });
    MoveTo(static_cast<std::size_t>(first - entries_.begin()));
  }
  void SeekToLast() override { MoveBefore(entries_.size()); }
  void SeekForPrev(std::string_view target) override {
    const auto behind = std::upper_bound(entries_.begin(), entries_.end(), target,
                                         [](std::string_view key, const Version& v) { return key < v.key; });
    MoveBefore(static_cast<std::size_t>(behind - entries_.begin()));
  }
  void Next() override { MoveTo(position_ + 1); }
  void Prev() override { MoveBefore(position_); }
  const EntryView& entry() const override { return view_; }
  Status status() const override {
    return position_ == fail_at_ && position_ < entries_.size() ? Status::Corruption("entry is damaged") : Status();
  }

 private:
  void MoveBefore(std::size_t end) { MoveTo(end == 0 ? entries_.size() : end - 1); }
  void MoveTo(std::size_t position) {
    position_ = position;
    std::fill(current_.key.begin(), current_.key.end(), '!');
    std::fill(current_.value.begin(), current_.value.end(), '!');
    if (!Valid()) return;
    current_.key.assign(entries_[position_].key);
    current_.value.assign(entries_[position_].value);
    view_ = entries_[position_].View();
    view_.key = current_.key;
    view_.value = current_.value;
  }

  const std::vector<Version> entries_;
  const std::size_t fail_at_;
  std::size_t position_;
  Version current_;
  EntryView view_;
};

/// Keys that are hard on prefix tricks: shared beginnings, trailing zeros, 0xff, empty, some long.
inline std::string AwkwardKey(std::mt19937& random) {
  static const std::string kStems[] = {"", "user:0000:", std::string(20, '\0'), std::string("db\0\1", 4) + std::string(40, 'x'),
                                       std::string(9, '\xff'), std::string(700, 'L')};
  std::string key = kStems[random() % std::size(kStems)];
  const std::size_t extra = random() % 4;
  for (std::size_t i = 0; i < extra; ++i) key.push_back("\0\1a\xff"[random() % 4]);
  return key;
}

}  // namespace lsmkv::test
