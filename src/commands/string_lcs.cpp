// LCS: the longest common subsequence of two strings.
//
// table(i, j) is the length for the first i bytes of a and the first j of b; the classic dynamic programme fills it row by
// row, and the way back from its far corner gives the subsequence from its last byte to its first. Going back, where both
// ways are equally good the index into b is reduced: which subsequence is found, and in which ranges, is part of the
// reply, and this is the one that Redis finds.
//
// Bounds  the table may take proto-max-bulk-len bytes, as in Redis; more than kLoopCells of work is not done on an event loop. LEN alone needs
//         one row of the table.
// Source  Wagner and Fischer, "The String-to-String Correction Problem", 1974.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/numbers.h"
#include "commands/generic_access.h"
#include "config/config.h"

namespace lsmkv {
namespace {

constexpr std::uint64_t kLoopCells = 1u << 16;           // about 0.1 ms

struct LcsOptions {
  bool length = false;
  bool indexes = false;
  bool with_match_length = false;
  std::int64_t min_match_length = 0;
};

/// Nothing when they make no sense, and the error has been written.
std::optional<LcsOptions> LcsOptionsOrReply(CommandContext& context) {
  LcsOptions options;
  for (std::size_t i = 3; i < context.args.size(); ++i) {
    const std::string_view word = context.args[i];
    if (EqualsIgnoringCase(word, "idx")) {
      options.indexes = true;
    } else if (EqualsIgnoringCase(word, "len")) {
      options.length = true;
    } else if (EqualsIgnoringCase(word, "withmatchlen")) {
      options.with_match_length = true;
    } else if (EqualsIgnoringCase(word, "minmatchlen") && i + 1 < context.args.size()) {
      const std::optional<std::int64_t> length = IntegerOrReply(context, context.args[++i]);
      if (!length) return std::nullopt;
      options.min_match_length = std::max<std::int64_t>(0, *length);
    } else {
      context.reply.Error(kSyntaxError);
      return std::nullopt;
    }
  }
  if (options.length && options.indexes) {
    context.reply.Error("ERR If you want both the length and indexes, please just use IDX.");
    return std::nullopt;
  }
  return options;
}

class LcsTable {
 public:
  /// Nothing when there is no memory for it.
  static std::optional<LcsTable> Make(std::string_view a, std::string_view b) {
    LcsTable table(b.size() + 1);
    table.cells_.reset(new (std::nothrow) std::uint32_t[(a.size() + 1) * table.width_]);
    if (table.cells_ == nullptr) return std::nullopt;
    std::fill_n(table.cells_.get(), table.width_, 0u);
    for (std::size_t i = 1; i <= a.size(); ++i) table.FillRow(i, a[i - 1], b);
    return table;
  }
  std::uint32_t At(std::size_t i, std::size_t j) const { return cells_[i * width_ + j]; }

 private:
  explicit LcsTable(std::size_t width) : width_(width) {}
  void FillRow(std::size_t i, char byte, std::string_view b) {
    const std::uint32_t* const above = cells_.get() + (i - 1) * width_;
    std::uint32_t* const row = cells_.get() + i * width_;
    row[0] = 0;
    for (std::size_t j = 1; j < width_; ++j) row[j] = byte == b[j - 1] ? above[j - 1] + 1 : std::max(above[j], row[j - 1]);
  }

  std::size_t width_;
  std::unique_ptr<std::uint32_t[]> cells_;
};

/// A stretch that is the same in both strings, adjacent in both.
struct Match {
  std::size_t a = 0;
  std::size_t b = 0;
  std::size_t length = 0;
};

/// The matches of the subsequence, last one first.
std::vector<Match> WalkBack(const LcsTable& table, std::string_view a, std::string_view b) {
  std::vector<Match> matches;
  std::size_t i = a.size();
  std::size_t j = b.size();
  bool adjacent = false;   // the last step was a match
  while (i > 0 && j > 0) {
    if (a[i - 1] == b[j - 1]) {
      --i;
      --j;
      if (adjacent) {
        matches.back() = {i, j, matches.back().length + 1};
      } else {
        matches.push_back({i, j, 1});
      }
      adjacent = true;
    } else {
      adjacent = false;
      if (table.At(i - 1, j) > table.At(i, j - 1)) {
        --i;
      } else {
        --j;
      }
    }
  }
  return matches;
}

std::uint32_t LengthOnly(std::string_view a, std::string_view b) {
  std::vector<std::uint32_t> row(b.size() + 1);
  for (const char byte : a) {
    std::uint32_t above_left = 0;
    for (std::size_t j = 1; j < row.size(); ++j) {
      const std::uint32_t above = row[j];
      row[j] = byte == b[j - 1] ? above_left + 1 : std::max(above, row[j - 1]);
      above_left = above;
    }
  }
  return row.back();
}

void ReplyRange(resp::Writer& reply, std::size_t start, std::size_t length) {
  reply.Array(2);
  reply.Integer(static_cast<std::int64_t>(start));
  reply.Integer(static_cast<std::int64_t>(start + length - 1));
}

void ReplyIndexes(resp::Writer& reply, std::vector<Match> matches, const LcsOptions& options, std::uint32_t length) {
  std::erase_if(matches, [&](const Match& m) { return static_cast<std::int64_t>(m.length) < options.min_match_length; });
  reply.Map(2);
  reply.Bulk("matches");
  reply.Array(matches.size());
  for (const Match& match : matches) {
    reply.Array(options.with_match_length ? 3 : 2);
    ReplyRange(reply, match.a, match.length);
    ReplyRange(reply, match.b, match.length);
    if (options.with_match_length) reply.Integer(static_cast<std::int64_t>(match.length));
  }
  reply.Bulk("len");
  reply.Integer(length);
}

Outcome ReplyLcs(CommandContext& context, std::string_view a, std::string_view b, const LcsOptions& options) {
  if (options.length) {
    context.reply.Integer(LengthOnly(a, b));
    return Outcome::kDone;
  }
  const std::optional<LcsTable> table = LcsTable::Make(a, b);
  if (!table) return Fail(context, "ERR Insufficient memory, failed allocating transient memory for LCS");
  std::vector<Match> matches = WalkBack(*table, a, b);
  if (options.indexes) {
    ReplyIndexes(context.reply, std::move(matches), options, table->At(a.size(), b.size()));
    return Outcome::kDone;
  }
  std::string common;
  for (auto match = matches.rbegin(); match != matches.rend(); ++match) common.append(a.substr(match->a, match->length));
  context.reply.Bulk(common);
  return Outcome::kDone;
}

}  // namespace

Outcome HandleLcs(CommandContext& context) {
  Operation operation = Begin(context);
  if (Status status = operation.ReadOneMoment(); !status.ok()) return Fail(context, status);
  const Result<StringRead> a = operation.ReadString(context.args[1]);
  if (!a) return Fail(context, a.error());
  const Result<StringRead> b = operation.ReadString(context.args[2]);
  if (!b) return Fail(context, b.error());
  if (a->wrong_type() || b->wrong_type()) return Fail(context, "ERR The specified keys must contain string values");
  const std::optional<LcsOptions> options = LcsOptionsOrReply(context);
  if (!options) return Outcome::kDone;
  const std::uint64_t cells = (std::uint64_t{a->value().size()} + 1) * (std::uint64_t{b->value().size()} + 1);
  const bool asks = !context.may_block && cells > kLoopCells;        // a loop runs what is far below any limit that can be set
  if (!asks && cells > kLoopCells && cells > context.server.config().Current()->proto_max_bulk_bytes / sizeof(std::uint32_t)) {
    return Fail(context, "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
  }
  if (asks) {
    operation.GiveUp();
    return Outcome::kWouldBlock;
  }
  return ReplyLcs(context, a->value(), b->value(), *options);
}

}  // namespace lsmkv
