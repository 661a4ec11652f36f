// What check and repair have to say: one line a finding, with file, offset and what is wrong, and the same as JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lsmkv/status.h"

namespace lsmkv::tool {

enum class Severity : std::uint8_t {
  kDamage,     ///< bytes are not what was written, or something is missing
  kNote,       ///< worth knowing, and nothing is wrong: the next start deals with it
};

struct Finding {
  Severity severity = Severity::kDamage;
  std::string file;                           ///< relative to the directory; empty: concerns all of it
  std::optional<std::uint64_t> offset;        ///< in the file
  std::string what;
};

class Report {
 public:
  /// Paths in findings are shown without `dir` in front.
  explicit Report(std::string dir) : dir_(std::move(dir)) {}

  void Damage(std::string_view file, std::optional<std::uint64_t> offset, std::string what);
  void Note(std::string_view file, std::string what);
  /// An error of the engine's, which names file and offset in its words: "<path>: offset N: what".
  void Damage(const Status& status, std::string_view file);
  /// A figure of the summary.
  void Figure(std::string name, std::uint64_t value) { figures_.emplace_back(std::move(name), value); }

  bool damaged() const { return damaged_; }
  const std::vector<Finding>& findings() const { return findings_; }
  std::string Text() const;
  std::string Json() const;

 private:
  std::string WithoutDir(std::string_view path) const;

  const std::string dir_;
  std::vector<Finding> findings_;
  std::vector<std::pair<std::string, std::uint64_t>> figures_;
  bool damaged_ = false;
};

}  // namespace lsmkv::tool
