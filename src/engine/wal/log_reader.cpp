#include "engine/wal/log_reader.h"

#include <algorithm>

namespace lsmkv {
namespace {

constexpr std::size_t kWindowBytes = 1 << 20;
// A search checks a place's checksum only where the header could be true. Bytes that were made to look like headers could
// still make it hash the file over and over; past this much it gives up.
constexpr std::uint64_t kSearchBudgetBytes = 4ull << 30;
constexpr std::uint64_t kSearchBudgetFiles = 16;
// No server writes this many entries between two records that a search could join.
constexpr SequenceNumber kPlausibleJump = 1ull << 40;

/// Whether a header's figures could be those of a record with `available` bytes from its start to the end of the file.
bool IsPlausible(std::uint32_t length, std::uint32_t count, std::uint64_t available) {
  if (length < kLogBodyHeaderBytes || length > kLogBodyHeaderBytes + kMaxLogOperationsBytes) return false;
  if (length > available - kLogPrefixBytes) return false;
  const std::uint64_t operations_bytes = length - kLogBodyHeaderBytes;
  if (count == 0) return operations_bytes == 0 || operations_bytes == kLogHeadOperationsBytes;
  return operations_bytes / kMinOperationBytes >= count;
}

}  // namespace

LogReader::LogReader(std::unique_ptr<RandomAccessFile> file, std::string path, std::uint64_t segment)
    : file_(std::move(file)), path_(std::move(path)), segment_(segment) {}

Result<LogReader> LogReader::Open(FileSystem& fs, const std::string& path, std::uint64_t segment) {
  Result<std::unique_ptr<RandomAccessFile>> file = fs.NewRandomAccessFile(path);
  if (!file) return file.error();
  return LogReader(std::move(*file), path, segment);
}

Result<std::string_view> LogReader::View(std::uint64_t offset, std::size_t bytes) {
  const bool inside = offset >= window_offset_ && offset - window_offset_ <= window_.size() &&
                      bytes <= window_.size() - (offset - window_offset_);
  if (!inside) {
    const std::uint64_t wanted = std::max<std::uint64_t>(bytes, kWindowBytes);
    window_.resize(static_cast<std::size_t>(std::min(wanted, size() - offset)));
    window_offset_ = offset;
    if (Status read = file_->Read(offset, window_.size(), window_.data()); !read.ok()) {
      window_.clear();
      return read;
    }
  }
  return std::string_view(window_).substr(static_cast<std::size_t>(offset - window_offset_), bytes);
}

Result<std::optional<LogRecord>> LogReader::TryRecord(std::uint64_t offset) {
  if (size() - offset < kLogHeaderBytes) return std::nullopt;
  const Result<std::string_view> header = View(offset, kLogHeaderBytes);
  if (!header) return header.error();
  const auto length = DecodeFixed<std::uint32_t>(header->data());
  LogRecord record;
  record.first_sequence = DecodeFixed<std::uint64_t>(header->data() + kLogPrefixBytes);
  record.count = DecodeFixed<std::uint32_t>(header->data() + kLogPrefixBytes + 8);
  if (!IsPlausible(length, record.count, size() - offset)) return std::nullopt;
  if (record.first_sequence > UINT64_MAX - record.count) return std::nullopt;

  const Result<std::string_view> whole = View(offset, kLogPrefixBytes + length);
  if (!whole) return whole.error();
  const std::string_view body = whole->substr(kLogPrefixBytes);
  if (DecodeFixed<std::uint64_t>(whole->data() + 4) != LogChecksum(segment_, offset, body)) return std::nullopt;
  record.operations = body.substr(kLogBodyHeaderBytes);
  if (record.IsHead()) {
    if (!record.operations.starts_with(kLogHeadName)) return std::nullopt;
    if (Status known = CheckHead(record.operations); !known.ok()) return known;
  }
  return record;
}

Status LogReader::CheckHead(std::string_view operations) const {
  const auto version = DecodeFixed<std::uint32_t>(operations.data() + kLogHeadName.size());
  if (version <= kLogFormatVersion) return {};
  return Status::Unsupported(fmt::format("{}: log format {} is newer than this program, which reads up to {}", path_, version, kLogFormatVersion));
}

Result<LogReader::Look> LogReader::At(std::uint64_t offset) {
  if (offset >= size()) return Look{Found::kEnd, {}};
  const Result<std::optional<LogRecord>> record = TryRecord(offset);
  if (!record) return record.error();
  if (*record) return Look{Found::kRecord, **record};
  const Result<std::uint64_t> end = WrittenEnd(offset);
  if (!end) return end.error();
  return Look{*end == offset ? Found::kEnd : Found::kDamage, {}};
}

Result<std::optional<LogReader::Hit>> LogReader::Search(std::uint64_t offset, SequenceNumber from) {
  std::uint64_t budget = kSearchBudgetBytes + kSearchBudgetFiles * size();
  for (; offset < size() && size() - offset >= kLogHeaderBytes; ++offset) {
    const Result<std::string_view> header = View(offset, kLogHeaderBytes);
    if (!header) return header.error();
    const auto length = DecodeFixed<std::uint32_t>(header->data());
    const auto sequence = DecodeFixed<std::uint64_t>(header->data() + kLogPrefixBytes);
    const auto count = DecodeFixed<std::uint32_t>(header->data() + kLogPrefixBytes + 8);
    if (!IsPlausible(length, count, size() - offset)) continue;
    if (count != 0 && (sequence < from || sequence - from > kPlausibleJump)) continue;
    if (length > budget) return Status::Corruption("too many places look like records and are not");
    budget -= length;
    const Result<std::optional<LogRecord>> record = TryRecord(offset);
    if (!record) return record.error();
    if (*record) return Hit{offset, **record};
  }
  return std::nullopt;
}

Result<std::uint64_t> LogReader::WrittenEnd(std::uint64_t offset) {
  std::uint64_t end = offset;
  for (std::uint64_t at = offset; at < size();) {
    const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(kWindowBytes, size() - at));
    const Result<std::string_view> block = View(at, bytes);
    if (!block) return block.error();
    const std::size_t last = block->find_last_not_of('\0');
    if (last != std::string_view::npos) end = at + last + 1;
    at += bytes;
  }
  return end;
}

}  // namespace lsmkv
