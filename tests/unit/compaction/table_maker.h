#pragma once

#include <memory>
#include <string>

#include "engine/version/table_file.h"

/// A table, and the blob files it refers to, that exist in a version only; there is no file.
inline lsmkv::TablePtr FakeTableOf(lsmkv::TableRecord record) {
  record.file = lsmkv::TableRecordFile(record.id);
  std::vector<lsmkv::BlobFilePtr> blobs;
  for (const lsmkv::BlobRef& ref : record.blobs) {
    blobs.push_back(std::make_shared<const lsmkv::BlobFile>(ref.id, ref.file_bytes, lsmkv::BlobRecordFile(ref.id), nullptr, nullptr));
  }
  return std::make_shared<const lsmkv::TableFile>(record, record.file, std::move(blobs), nullptr, nullptr);
}
inline lsmkv::TablePtr FakeTable(std::uint64_t id, std::string smallest, std::string largest, std::uint64_t smallest_seq = 1,
                             std::uint64_t largest_seq = 1, std::uint64_t entries = 100, std::uint64_t bytes = 1000) {
  lsmkv::TableRecord record;
  record.id = id;
  record.smallest_key = std::move(smallest);
  record.largest_key = std::move(largest);
  record.smallest_seq = smallest_seq;
  record.largest_seq = largest_seq;
  record.entries = entries;
  record.size_bytes = bytes;
  return FakeTableOf(std::move(record));
}
