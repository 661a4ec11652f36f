#pragma once

#include <memory>
#include <string>

#include "engine/version/table_file.h"

/// A table that exists in a version only; there is no file.
inline lsmkv::TablePtr FakeTable(std::uint64_t id, std::string smallest, std::string largest, std::uint64_t smallest_seq = 1,
                             std::uint64_t largest_seq = 1, std::uint64_t entries = 100, std::uint64_t bytes = 1000) {
  lsmkv::TableRecord record;
  record.id = id;
  record.file = lsmkv::TableRecordFile(id);
  record.smallest_key = std::move(smallest);
  record.largest_key = std::move(largest);
  record.smallest_seq = smallest_seq;
  record.largest_seq = largest_seq;
  record.entries = entries;
  record.size_bytes = bytes;
  return std::make_shared<const lsmkv::TableFile>(record, record.file, nullptr, nullptr);
}
inline lsmkv::TablePtr FakeTableOf(lsmkv::TableRecord record) {
  record.file = lsmkv::TableRecordFile(record.id);
  return std::make_shared<const lsmkv::TableFile>(record, record.file, nullptr, nullptr);
}
