#include "engine/sstable/filter_block.h"

#include <algorithm>

#include "base/assert.h"
#include "base/coding.h"
#include "base/prefetch.h"

namespace lsmkv {
namespace {

constexpr std::size_t kLineBytes = 64;
constexpr unsigned kLineBits = 512;
constexpr unsigned kBitsPerProbe = 9;
constexpr unsigned kProbesPerWord = 7;
constexpr unsigned kMaxProbes = 14;
static_assert(1u << kBitsPerProbe == kLineBits);

std::uint64_t LineOf(std::uint64_t hash, std::uint64_t line_count) {
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(hash) * line_count >> 64);
}

/// Calls `visit(bit)` for each of the key's bits in its line until it says false.
template <typename Visit>
bool ForEachBit(std::uint64_t hash, unsigned probe_count, Visit visit) {
  std::uint64_t word = hash;
  for (unsigned i = 0; i < probe_count; ++i) {
    if (i % kProbesPerWord == 0) {
      hash *= 0x9e3779b97f4a7c15;  // 2^64 / golden ratio: carries low bits up,
      hash ^= hash >> 32;          // and this brings them down again
      word = hash;
    }
    if (!visit(static_cast<unsigned>(word % kLineBits))) return false;
    word >>= kBitsPerProbe;
  }
  return true;
}

/// The number of probes with the fewest false positives; a little under bits x ln 2 because lines fill unevenly.
unsigned ProbeCount(std::uint32_t bits_per_key) { return std::clamp(bits_per_key * 6 / 10, 1u, kMaxProbes); }

}  // namespace

std::string BuildFilter(std::span<const std::uint64_t> hashes, std::uint32_t bits_per_key) {
  LSMKV_ASSERT(!hashes.empty() && bits_per_key > 0);
  const std::uint64_t line_count = (hashes.size() * bits_per_key + kLineBits - 1) / kLineBits;
  const unsigned probe_count = ProbeCount(bits_per_key);
  std::string out(line_count * kLineBytes + 1, '\0');
  for (const std::uint64_t hash : hashes) {
    char* const line = out.data() + LineOf(hash, line_count) * kLineBytes;
    ForEachBit(hash, probe_count, [line](unsigned bit) {
      line[bit / 8] = static_cast<char>(line[bit / 8] | 1 << bit % 8);
      return true;
    });
  }
  out.back() = static_cast<char>(probe_count);
  return out;
}

FilterBlock::FilterBlock(BlockContents contents)
    : CachedBlock(kKind, contents.bytes.size()),
      contents_(std::move(contents)),
      line_count_(contents_.bytes.size() / kLineBytes),
      probe_count_(static_cast<unsigned char>(contents_.bytes.back())) {}

Result<std::shared_ptr<const FilterBlock>> FilterBlock::Parse(BlockContents contents, std::uint64_t /*file_bytes*/) {
  const std::string_view bytes = contents.bytes;
  if (bytes.size() <= kLineBytes || bytes.size() % kLineBytes != 1) return Status::Corruption("filter of a wrong size");
  const unsigned probe_count = static_cast<unsigned char>(bytes.back());
  if (probe_count == 0 || probe_count > kMaxProbes) return Status::Corruption("filter with a wrong number of probes");
  return std::make_shared<const FilterBlock>(std::move(contents));
}

bool FilterBlock::MayContain(std::uint64_t hash) const {
  const char* const line = contents_.bytes.data() + LineOf(hash, line_count_) * kLineBytes;
  return ForEachBit(hash, probe_count_, [line](unsigned bit) { return (line[bit / 8] >> bit % 8 & 1) != 0; });
}

void FilterBlock::PrefetchLine(std::uint64_t hash) const {
  Prefetch(contents_.bytes.data() + LineOf(hash, line_count_) * kLineBytes);
}

}  // namespace lsmkv
