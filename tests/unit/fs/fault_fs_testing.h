// What the tests of the file system in memory share.
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "fs/fault_file_system.h"

namespace lsmkv {

inline std::unique_ptr<WritableFile> Create(FaultFileSystem& fs, const std::string& path) {
  auto file = fs.NewWritableFile(path);
  REQUIRE(file.has_value());
  return std::move(*file);
}

inline std::string Contents(FaultFileSystem& fs, const std::string& path) {
  const auto bytes = fs.ReadWholeFile(path);
  return bytes ? *bytes : "<" + bytes.error().message() + ">";
}

/// `size` bytes none of which is zero, so that a lost page shows.
inline std::string Pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>('a' + (i * 7 + i / 512) % 26);
  return bytes;
}

/// One file with a synced and an unsynced part; its name is durable.
inline void WriteHalfSynced(FaultFileSystem& fs, const std::string& bytes, std::size_t synced) {
  const auto file = Create(fs, "/f");
  REQUIRE(file->Append(std::string_view(bytes).substr(0, synced)).ok());
  REQUIRE(file->Sync().ok());
  REQUIRE(fs.SyncDirectory("/").ok());
  REQUIRE(file->Append(std::string_view(bytes).substr(synced)).ok());
}

inline std::map<std::string, std::string> Everything(FaultFileSystem& fs, const std::string& directory = "/") {
  std::map<std::string, std::string> files;
  const auto names = fs.ListDirectory(directory);
  REQUIRE(names.has_value());
  for (const std::string& name : *names) {
    const std::string path = directory + name;
    if (fs.ListDirectory(path + "/").has_value()) {
      files[path] = "directory";
      files.merge(Everything(fs, path + "/"));
    } else {
      files[path] = Contents(fs, path);
    }
  }
  return files;
}

}  // namespace lsmkv
