// The configuration file as text: its lines, and what CONFIG REWRITE makes of it. Pure but for the two functions at the end.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/directive.h"
#include "lsmkv/status.h"

namespace lsmkv {

inline constexpr std::size_t kMaxConfigFileBytes = 1u << 20;

/// One line that says something.
struct ConfigLine {
  std::size_t number;             ///< from 1
  const Directive* directive;
  std::vector<std::string> words;  ///< after the name
};
/// Errors begin with "`file_name`:17: ".
Result<std::vector<ConfigLine>> ParseConfigLines(std::string_view text, std::string_view file_name);
/// Applies the lines in order; the last one wins. What no single line can check is left to FindContradiction.
Status ApplyConfigLines(const std::vector<ConfigLine>& lines, std::string_view file_name, Settings* settings);
/// Fits what the words say to the process: makes `dir` absolute.
void ResolvePaths(Settings* settings);
/// "unknown directive 'levl-ratio', did you mean 'level-ratio'?"
std::string UnknownDirective(std::string_view name);

/// `text` changed so that it gives `settings` when read: a directive whose lines already say so is left alone, another is
/// changed where it stands last, and what is missing and is not the default goes to the end.
Result<std::string> RewriteConfigText(std::string_view text, std::string_view file_name, const Settings& settings);

Result<std::string> ReadConfigFile(const std::string& path);
/// Temporary file, fsync, rename, fsync of the directory; the file's permissions stay.
Status ReplaceConfigFile(const std::string& path, std::string_view text);

}  // namespace lsmkv
