#include "engine/wal/log_reader.h"

#include <algorithm>

#include "fs/passing_file.h"

namespace lsmkv {
namespace {

constexpr std::size_t kWindowBytes = 1 << 20;
// A search checks a place's checksum only where the header could be true. Bytes that look like headers could still make it hash the
// file over and over; past this much it passes over all but markers.
constexpr std::uint64_t kSearchBudgetBytes = 512ull << 20;
constexpr std::uint64_t kSearchBudgetFiles = 4;
// The most that a write leaves where its first record does not tell.
constexpr std::uint64_t kTornBytes = 1 << 20;
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

/// The figures of a header, as they lie there.
struct Header {
  explicit Header(const char* bytes)
      : length(DecodeFixed<std::uint32_t>(bytes)),
        count(DecodeFixed<std::uint32_t>(bytes + kLogPrefixBytes + 8)),
        sequence(DecodeFixed<std::uint64_t>(bytes + kLogPrefixBytes)) {}
  std::uint32_t length;
  std::uint32_t count;
  std::uint64_t sequence;
};

}  // namespace

LogReader::LogReader(std::unique_ptr<RandomAccessFile> file, std::string path, std::uint64_t segment, std::uint64_t most_bytes)
    : file_(std::move(file)),
      path_(std::move(path)),
      segment_(segment),
      size_(std::min(file_->size(), most_bytes)),
      budget_bytes_(kSearchBudgetBytes + kSearchBudgetFiles * size_) {}

Result<LogReader> LogReader::Open(FileSystem& fs, const std::string& path, std::uint64_t segment) {
  Result<std::unique_ptr<RandomAccessFile>> file = fs.NewRandomAccessFile(path);
  if (!file) return file.error();
  return LogReader(std::move(*file), path, segment);
}

Result<LogReader> LogReader::OpenPassing(FileSystem& fs, const std::string& path, std::uint64_t segment, std::uint64_t most_bytes) {
  Result<std::unique_ptr<RandomAccessFile>> file = NewPassingFile(fs, path);
  if (!file) return file.error();
  return LogReader(std::move(*file), path, segment, most_bytes);
}

Result<std::string_view> LogReader::View(std::uint64_t offset, std::size_t bytes) {
  const bool inside = offset >= window_offset_ && offset - window_offset_ <= window_.size() &&
                      bytes <= window_.size() - (offset - window_offset_);
  if (!inside) {
    const std::uint64_t wanted = bytes + kWindowBytes;     // more: the next view may begin a byte later, and be as long
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
  const Header figures(header->data());
  LogRecord record{figures.sequence, figures.count, {}};
  if (!IsPlausible(figures.length, record.count, size() - offset)) return std::nullopt;
  if (record.first_sequence > UINT64_MAX - record.count) return std::nullopt;

  const Result<std::string_view> whole = View(offset, kLogPrefixBytes + figures.length);
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

Result<LogReader::Look> LogReader::At(std::uint64_t offset, const SoughtRecords& sought) {
  if (offset >= size()) return Look{Found::kEnd, {}};
  const Result<std::optional<LogRecord>> record = TryRecord(offset);
  if (!record) return record.error();
  if (*record) return Look{Found::kRecord, **record};
  const Result<bool> ends = LooksLikeEnd(offset);
  if (!ends) return ends.error();
  if (!*ends) return Look{Found::kDamage, {}};
  const std::uint64_t budget_bytes = budget_bytes_;
  const Result<std::optional<Hit>> more = Search(offset, sought);
  if (!more) return more.error();
  if (*more) budget_bytes_ = budget_bytes;       // the same bytes will be searched again, for what it is
  return Look{*more ? Found::kDamage : Found::kEnd, {}};
}

Result<bool> LogReader::LooksLikeEnd(std::uint64_t offset) {
  const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(kLogHeaderBytes, size() - offset));
  const Result<std::string_view> header = View(offset, bytes);
  if (!header) return header.error();
  if (header->find_first_not_of('\0') == std::string_view::npos) return true;
  return offset == 0 ? BeginsWithOlderHead() : Result<bool>(false);
}

/// The head's checksum is right, but for another place: the beginning of a segment before this one.
Result<bool> LogReader::BeginsWithOlderHead() {
  constexpr std::uint64_t kMostIdsBack = 1 << 20;      // more than can lie between two owners of a file
  if (size() < kLogHeadBytes) return false;
  const Result<std::string_view> head = View(0, kLogHeadBytes);
  if (!head) return head.error();
  const Header header(head->data());
  const std::string_view body = head->substr(kLogPrefixBytes);
  if (kLogPrefixBytes + header.length != kLogHeadBytes || header.count != 0) return false;
  if (!body.substr(kLogBodyHeaderBytes).starts_with(kLogHeadName)) return false;
  const std::uint64_t place = DecodeFixed<std::uint64_t>(head->data() + 4) ^ Checksum(body);
  for (std::uint64_t id = segment_; id-- > segment_ - std::min(segment_, kMostIdsBack);) {
    if (LogPlace(id, 0) == place) return true;
  }
  return false;
}

Result<std::optional<LogReader::Hit>> LogReader::Search(std::uint64_t offset, const SoughtRecords& sought) {
  for (;; ++offset) {
    const Result<std::optional<std::uint64_t>> next = NextPlausible(offset, sought);
    if (!next) return next.error();
    if (!*next) return std::nullopt;
    offset = **next;
    const Result<std::string_view> header = View(offset, kLogHeaderBytes);
    if (!header) return header.error();
    const Header figures(header->data());
    if (figures.count != 0 && !Spend(figures.length)) continue;
    const Result<std::optional<LogRecord>> record = TryRecord(offset);
    if (!record) return record.error();
    if (*record) return Hit{offset, **record};
  }
}

bool LogReader::Spend(std::uint64_t bytes) {
  const bool enough = bytes < budget_bytes_;
  budget_bytes_ = enough ? budget_bytes_ - bytes : 0;
  return enough;
}

Result<std::optional<std::uint64_t>> LogReader::NextPlausible(std::uint64_t offset, const SoughtRecords& sought) {
  const auto most_jump = [&](std::uint64_t here) {
    return sought.since ? std::min<SequenceNumber>((here - *sought.since) / kMinOperationBytes, kPlausibleJump) : kPlausibleJump;
  };
  while (offset < size() && size() - offset >= kLogHeaderBytes) {
    const Result<std::string_view> header = View(offset, kLogHeaderBytes);
    if (!header) return header.error();
    // As far as the window goes: this loop sees every byte of what may be a large file.
    const char* const begin = header->data();
    const char* const end = window_.data() + window_.size() - kLogHeaderBytes + 1;
    const SequenceNumber most_in_window = most_jump(offset + static_cast<std::uint64_t>(end - begin));
    const bool only_markers = passes_over_records();
    for (const char* at = begin; at < end; ++at) {
      const Header figures(at);
      const SequenceNumber jump = figures.sequence - sought.from;          // what is less than `from` comes out as very much
      if (figures.count != 0 && (only_markers || jump > most_in_window)) continue;
      const std::uint64_t here = offset + static_cast<std::uint64_t>(at - begin);
      if (figures.count != 0 && jump > most_jump(here)) continue;
      if (IsPlausible(figures.length, figures.count, size() - here)) return here;
    }
    offset += static_cast<std::uint64_t>(end - begin);
  }
  return std::nullopt;
}

Result<std::uint64_t> LogReader::TornEnd(std::uint64_t offset, SequenceNumber awaited) {
  const Result<bool> ends = LooksLikeEnd(offset);
  if (!ends) return ends.error();
  if (*ends) return offset;
  if (size() - offset >= kLogHeaderBytes) {
    const Result<std::string_view> header = View(offset, kLogHeaderBytes);
    if (!header) return header.error();
    const Header figures(header->data());
    const bool is_awaited = figures.count != 0 && figures.sequence == awaited;
    if (is_awaited && IsPlausible(figures.length, figures.count, size() - offset)) return offset + kLogPrefixBytes + figures.length;
  }
  return std::min(size(), offset + kTornBytes);
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
