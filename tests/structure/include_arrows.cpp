#include "include_arrows.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

namespace lsmkv::structure {
namespace {

/// From a folder to those it may include; its own and "lsmkv", the engine's public face, are open to all.
const std::map<std::string, std::set<std::string>, std::less<>> kArrows = {
    {"main", {"server", "commands", "resp", "keyspace", "config", "engine", "fs", "base", "boost"}},
    {"server", {"commands", "resp", "keyspace", "config", "base", "boost"}},
    {"commands", {"keyspace", "resp", "config", "base"}},
    {"keyspace", {"base"}},
    {"resp", {"base"}},
    {"config", {"base"}},
    // Inside the engine: version and compaction build on the leaves, which know the interfaces between them and each
    // other not at all; only the memtable reads its sorted runs through the merging iterator, and blob files share block
    // cache and compression with tables.
    {"engine", {"engine/compaction", "engine/version", "engine/bundle", "engine/memtable", "engine/wal", "engine/sstable",
                "engine/blob", "engine/manifest", "engine/iterators", "engine/interfaces", "fs", "base"}},
    {"engine/compaction", {"engine/version", "engine/bundle", "engine/memtable", "engine/wal", "engine/sstable", "engine/blob",
                           "engine/manifest", "engine/iterators", "engine/interfaces", "fs", "base"}},
    {"engine/version", {"engine/memtable", "engine/wal", "engine/sstable", "engine/blob", "engine/manifest", "engine/iterators",
                        "engine/interfaces", "fs", "base"}},
    // Tables from outside: read and written like the engine's own, described like a level, one run like a level's.
    {"engine/bundle", {"engine/sstable", "engine/manifest", "engine/iterators", "engine/interfaces", "fs", "base"}},
    {"engine/memtable", {"engine/iterators", "engine/interfaces", "base"}},
    {"engine/wal", {"engine/interfaces", "fs", "base"}},
    {"engine/sstable", {"engine/interfaces", "fs", "base"}},
    {"engine/blob", {"engine/sstable", "engine/interfaces", "fs", "base"}},
    {"engine/manifest", {"engine/interfaces", "fs", "base"}},
    {"engine/iterators", {"engine/interfaces", "base"}},
    {"engine/interfaces", {"base"}},
    {"fs", {"base"}},
    // The benchmark is an embedder: the engine's public face, and of ours only what any program could have (a histogram).
    {"bench", {"base"}},
    // The offline tool looks into every format on disk and knows what keys are; it never sees a command, a server or a socket.
    {"tool", {"keyspace", "resp", "config", "engine/compaction", "engine/version", "engine/bundle", "engine/blob", "engine/memtable", "engine/wal",
              "engine/sstable", "engine/manifest", "engine/iterators", "engine/interfaces", "fs", "base"}},
    {"base", {}},
    {"lsmkv", {}},
};

/// Files of the engine's root that belong to nobody in it: what its folders hand to each other.
const std::set<std::string_view> kEngineInterfaces = {"engine/internal_iterator.h", "engine/blob_pointer.h"};

/// "engine/wal/log.h" -> "engine/wal", "engine/open.cpp" -> "engine", "base/hash.h" -> "base".
std::string FolderBelowSrc(std::string_view path) {
  if (kEngineInterfaces.contains(path)) return "engine/interfaces";
  return std::string(path.substr(0, path.rfind('/')));
}

/// The name inside "" or <> of an #include line; nullopt for other lines.
std::optional<std::string_view> IncludedName(std::string_view line) {
  const auto skip_spaces = [&line] { line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size())); };
  skip_spaces();
  if (!line.starts_with('#')) return std::nullopt;
  line.remove_prefix(1);
  skip_spaces();
  if (!line.starts_with("include")) return std::nullopt;
  line.remove_prefix(7);
  skip_spaces();
  if (!line.starts_with('"') && !line.starts_with('<')) return std::nullopt;
  const std::size_t end = line.find(line.front() == '"' ? '"' : '>', 1);
  return line.substr(1, end == std::string_view::npos ? end : end - 1);
}

bool ArrowIsDrawn(const std::string& from, const std::string& to) {
  return from == to || (to == "lsmkv" && from != "lsmkv") || kArrows.at(from).contains(to);
}

}  // namespace

std::optional<std::string> LayerOfFile(std::string_view path) {
  if (path.starts_with("include/lsmkv/")) return "lsmkv";
  if (path == "src/main.cpp") return "main";
  if (!path.starts_with("src/")) return std::nullopt;
  std::string folder = FolderBelowSrc(path.substr(4));
  if (!kArrows.contains(folder) || folder == "main" || folder == "lsmkv") return std::nullopt;
  return folder;
}

std::optional<std::string> LayerOfInclude(std::string_view included, std::string_view includer) {
  if (included.starts_with("boost/")) return "boost";
  if (included.starts_with("lsmkv/")) return "lsmkv";
  if (included.find('/') == std::string_view::npos) {
    // A neighbour's file, or the standard library's: never an arrow between folders.
    return included.ends_with(".h") ? LayerOfFile(includer) : std::nullopt;
  }
  const std::string_view top = included.substr(0, included.find('/'));
  if (!kArrows.contains(top)) return std::nullopt;   // another library
  return FolderBelowSrc(included);
}

std::vector<std::string> WrongArrows(std::string_view path, std::string_view text) {
  const auto from = LayerOfFile(path);
  if (!from) return {std::string(path) + ": lies in no folder of the plan"};
  std::vector<std::string> wrong;
  std::istringstream lines{std::string(text)};
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const auto included = IncludedName(line);
    if (!included) continue;
    const std::string place = std::string(path) + ":" + std::to_string(number) + ": ";
    if (included->starts_with("..") || included->find("/../") != std::string_view::npos) {
      wrong.push_back(place + "includes " + std::string(*included) + ": a path through .. hides its folder");
      continue;
    }
    const auto to = LayerOfInclude(*included, path);
    if (to && !ArrowIsDrawn(*from, *to)) {
      wrong.push_back(place + *from + " includes " + std::string(*included) + ", and no arrow goes from " + *from + " to " + *to);
    }
  }
  return wrong;
}

std::vector<std::string> WrongArrowsIn(const std::filesystem::path& repository, std::size_t* files) {
  std::vector<std::string> wrong;
  *files = 0;
  for (const char* top : {"src", "include"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(repository / top)) {
      const std::string extension = entry.path().extension().string();
      if (!entry.is_regular_file() || (extension != ".h" && extension != ".cpp")) continue;
      ++*files;
      std::ostringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      const std::string path = std::filesystem::relative(entry.path(), repository).generic_string();
      std::ranges::move(WrongArrows(path, text.str()), std::back_inserter(wrong));
    }
  }
  return wrong;
}

}  // namespace lsmkv::structure
