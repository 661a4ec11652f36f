#include "keyspace/database_table.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/coding.h"
#include "base/hash.h"

namespace lsmkv {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint64_t kMaxDatabases = 1u << 20;

Status Damaged(const char* what) { return Status::Corruption(std::string("database table: ") + what); }

}  // namespace

DatabaseTable DatabaseTable::Fresh(std::uint32_t databases) {
  DatabaseTable table;
  table.GrowTo(databases);
  return table;
}

DatabaseTable DatabaseTable::Of(std::vector<std::uint64_t> ids, std::uint32_t databases) {
  DatabaseTable table;
  table.ids_ = std::move(ids);
  for (const std::uint64_t id : table.ids_) table.next_id_ = std::max(table.next_id_, id + 1);
  table.GrowTo(databases);
  return table;
}

Result<DatabaseTable> DatabaseTable::Decode(std::string_view record) {
  if (record.size() < 1 + sizeof(std::uint64_t)) return Damaged("too short");
  const std::string_view body = record.substr(0, record.size() - sizeof(std::uint64_t));
  if (Checksum(body) != DecodeFixed<std::uint64_t>(body.data() + body.size())) return Damaged("checksum");
  const auto version = static_cast<std::uint8_t>(body.front());
  if (version > kVersion) return Status::Unsupported("database table: version " + std::to_string(version));
  std::string_view rest = body.substr(1);
  DatabaseTable table;
  std::uint64_t count = 0;
  if (version == 0 || !GetVarint64(&rest, &table.next_id_) || !GetVarint64(&rest, &count)) return Damaged("header");
  if (count > kMaxDatabases || count > rest.size()) return Damaged("count");
  table.ids_.resize(static_cast<std::size_t>(count));
  for (std::uint64_t& id : table.ids_) {
    if (!GetVarint64(&rest, &id) || id >= table.next_id_) return Damaged("id");
  }
  std::vector<std::uint64_t> sorted = table.ids_;
  std::ranges::sort(sorted);
  if (!rest.empty() || std::ranges::adjacent_find(sorted) != sorted.end()) return Damaged("ids");
  return table;
}

std::string DatabaseTable::Encode() const {
  std::string record(1, static_cast<char>(kVersion));
  PutVarint(&record, next_id_);
  PutVarint(&record, ids_.size());
  for (const std::uint64_t id : ids_) PutVarint(&record, id);
  PutFixed(&record, Checksum(record));
  return record;
}

void DatabaseTable::GrowTo(std::uint32_t databases) {
  while (ids_.size() < databases) ids_.push_back(next_id_++);
}

void DatabaseTable::Flush(std::uint32_t logical) {
  LSMKV_ASSERT(logical < ids_.size());
  ids_[logical] = next_id_++;
}

void DatabaseTable::FlushAll() {
  for (std::uint64_t& id : ids_) id = next_id_++;
}

void DatabaseTable::Swap(std::uint32_t first, std::uint32_t second) {
  LSMKV_ASSERT(first < ids_.size() && second < ids_.size());
  std::swap(ids_[first], ids_[second]);
}

}  // namespace lsmkv
