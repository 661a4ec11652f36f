// Blob files made from a list of values, in memory.
#pragma once

#include <catch2/catch.hpp>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/hash.h"
#include "engine/blob/blob_reader.h"
#include "engine/blob/blob_writer.h"
#include "fs/fault_file_system.h"

namespace lsmkv::blob_test {

struct Stored {
  std::string key;
  std::string value;
  BlobPointer pointer;
};

/// Half of the values shrink well; sizes are spread over many magnitudes.
inline std::vector<Stored> SomeValues(std::mt19937_64& random, std::size_t count, std::size_t max_bytes) {
  std::vector<Stored> values;
  for (std::size_t i = 0; i < count; ++i) {
    Stored stored{"key:" + std::to_string(i), {}, {}};
    stored.value.resize(1 + random() % (1 + (max_bytes - 1) / (1 + random() % 8)));
    const unsigned alphabet = random() % 2 == 0 ? 256 : 2;
    for (char& byte : stored.value) byte = static_cast<char>(random() % alphabet);
    values.push_back(std::move(stored));
  }
  return values;
}

/// Writes file `id` and fills in the pointers.
inline void WriteBlobFile(FileSystem& fs, const std::string& path, std::uint64_t id, Compression compression,
                          std::vector<Stored>* values) {
  auto file = fs.NewWritableFile(path);
  REQUIRE(file);
  BlobWriter writer(**file, id, compression);
  for (Stored& stored : *values) {
    const Result<BlobPointer> pointer = writer.Add(Hash(stored.key), stored.value);
    REQUIRE(pointer);
    stored.pointer = *pointer;
  }
  const std::uint64_t promised = writer.file_bytes();
  REQUIRE(writer.Finish().ok());
  REQUIRE(writer.file_bytes() == promised);
  REQUIRE((*file)->size() == promised);
  REQUIRE((*file)->Close().ok());
}

/// A file that is a string, so that thousands of damaged ones are cheap.
class StringFile final : public RandomAccessFile {
 public:
  explicit StringFile(std::string_view bytes) : bytes_(bytes) {}
  Status Read(std::uint64_t offset, std::size_t size, char* buffer) const override {
    if (offset > bytes_.size() || size > bytes_.size() - offset) return Status::Corruption("file ends too early");
    bytes_.copy(buffer, size, offset);
    return {};
  }
  std::uint64_t size() const override { return bytes_.size(); }
  void WillNeed(std::uint64_t, std::uint64_t) const override {}

 private:
  const std::string_view bytes_;
};

inline Result<std::unique_ptr<BlobReader>> OpenString(std::string_view bytes, std::uint64_t id) {
  return BlobReader::Open(std::make_unique<StringFile>(bytes), "b.blob", id);
}

/// What `reader` has at the pointer, or the error.
inline Result<std::string> ReadValue(const BlobReader& reader, const Stored& stored) {
  Result<BlobRecord> record = reader.Read(stored.pointer, Hash(stored.key));
  if (!record) return record.error();
  const auto value = BlobValue::Make(std::move(*record));
  if (!value) return value.error();
  return std::string((*value)->value());
}

}  // namespace lsmkv::blob_test
