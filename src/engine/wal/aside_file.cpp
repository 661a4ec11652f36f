#include "engine/wal/aside_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "base/coding.h"
#include "base/hash.h"
#include "engine/wal/log_format.h"
#include "fs/passing_file.h"

namespace lsmkv {
namespace {

constexpr std::string_view kAsideOperation{"\x0e\0", 2};
constexpr std::string_view kPrefix = "aside_";
constexpr std::string_view kSuffix = ".ops";
constexpr std::size_t kPieceBytes = 1u << 20;      // from one hint to write back to the next

Status WriteFile(WritableFile& file, std::string_view operations) {
  for (std::size_t at = 0; at < operations.size(); at += kPieceBytes) {
    if (Status written = file.Append(operations.substr(at, kPieceBytes)); !written.ok()) return written;
    file.StartWriteback();
  }
  if (Status synced = file.Sync(); !synced.ok()) return synced;
  return file.Close();
}

/// Of what is there, before any of it is read.
Status CheckSize(FileSystem& fs, const std::string& path, const AsideRef& ref) {
  const Result<std::uint64_t> bytes = fs.FileSize(path);
  if (!bytes && bytes.error().code() == StatusCode::kNotFound) return Status::Corruption(path + ": is missing, from offset 0 on");
  if (!bytes) return bytes.error();
  if (*bytes == ref.bytes) return Status::Ok();
  return Status::Corruption(fmt::format("{}: ends at offset {}, and had {} bytes", path, *bytes, ref.bytes));
}

Status WrongChecksum(const std::string& path) { return Status::Corruption(path + ": offset 0: the checksum of the whole does not match"); }

}  // namespace

std::string AsideFileName(std::uint64_t id) { return fmt::format("{}{:06}{}", kPrefix, id, kSuffix); }

std::optional<std::uint64_t> ParseAsideFileName(std::string_view name) {
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return std::nullopt;
  const std::string_view digits = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
  if (error != std::errc() || end != digits.data() + digits.size() || AsideFileName(id) != name) return std::nullopt;
  return id;
}

std::string EncodeAside(const AsideRef& ref, std::uint32_t count) {
  std::string out(kAsideOperation);
  PutFixed(&out, ref.id);
  PutFixed(&out, ref.bytes);
  PutFixed(&out, ref.checksum);
  out.resize(std::max<std::size_t>(out.size(), kMinOperationBytes * count));
  return out;
}

std::optional<AsideRef> DecodeAside(std::string_view operations) {
  if (!operations.starts_with(kAsideOperation)) return std::nullopt;
  operations.remove_prefix(kAsideOperation.size());
  AsideRef ref;
  if (!GetFixed(&operations, &ref.id) || !GetFixed(&operations, &ref.bytes) || !GetFixed(&operations, &ref.checksum)) return std::nullopt;
  return ref;
}

Result<AsideRef> WriteAside(FileSystem& fs, const std::string& wal_dir, std::uint64_t id, std::string_view operations) {
  const std::string path = wal_dir + "/" + AsideFileName(id);
  Result<std::unique_ptr<WritableFile>> file = fs.NewWritableFile(path);
  if (!file) return file.error();
  Status written = WriteFile(**file, operations);
  if (written.ok()) written = fs.SyncDirectory(wal_dir);
  if (written.ok()) return AsideRef{id, operations.size(), Checksum(operations) + id};
  file->reset();
  IgnoreError(fs.RemoveFile(path), "recovery removes what no record names");
  return written;
}

Result<std::string> ReadAside(FileSystem& fs, const std::string& wal_dir, const AsideRef& ref) {
  const std::string path = wal_dir + "/" + AsideFileName(ref.id);
  if (Status size = CheckSize(fs, path, ref); !size.ok()) return size;
  Result<std::string> operations = fs.ReadWholeFile(path);
  if (!operations) return operations;
  if (operations->size() == ref.bytes && Checksum(*operations) + ref.id == ref.checksum) return operations;
  return WrongChecksum(path);
}

Status CheckAside(FileSystem& fs, const std::string& wal_dir, const AsideRef& ref, const std::function<bool(std::uint64_t)>& on_read) {
  const std::string path = wal_dir + "/" + AsideFileName(ref.id);
  if (Status size = CheckSize(fs, path, ref); !size.ok()) return size;
  const Result<std::unique_ptr<RandomAccessFile>> file = NewPassingFile(fs, path);
  if (!file) return file.error();
  RunningChecksum checksum;
  std::string piece;
  for (std::uint64_t at = 0; at < ref.bytes; at += piece.size()) {
    piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, ref.bytes - at)));
    if (!on_read(piece.size())) return Status::ShuttingDown();
    if (Status read = (*file)->Read(at, piece.size(), piece.data()); !read.ok()) return read;
    checksum.Add(piece);
  }
  return checksum.value() + ref.id == ref.checksum ? Status::Ok() : WrongChecksum(path);
}

}  // namespace lsmkv
