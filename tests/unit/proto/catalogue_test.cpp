#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include "proto/model.h"

namespace lsmkv::proto {
namespace {

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& text)
      : path_(std::filesystem::temp_directory_path() / ("catalogue_" + std::to_string(::getpid()) + ".json")) {
    std::ofstream(path_) << text;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  const std::filesystem::path path_;
};

// A file with one sound command in which `from` is replaced by `to`.
std::vector<std::string> ErrorsAfter(const std::string& from, const std::string& to) {
  std::string text = R"({"group": "g", "commands": [{"name": "go", "summary": "s", "complexity": "c", "since": "1", "arity": 2,
      "flags": ["fast"], "acl_categories": ["string"], "key_specs": [{"first": 1, "last": 1, "step": 1, "flags": ["RO"]}],
      "runs_on": "loop", "handler": "HandleGo", "arguments": [{"name": "key", "type": "key", "key_spec_index": 0}]}]})";
  if (!from.empty()) {
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
  }
  const TemporaryFile file(text);
  return ReadCatalogue({file.path()}).errors;
}

}  // namespace

TEST_CASE("a mistake in a command file is told with its file and command", "[proto]") {
  REQUIRE(ErrorsAfter("", "").empty());
  struct Case {
    const char* from;
    const char* to;
    const char* want;
  };
  const auto c = GENERATE(values<Case>({
      {R"("arity": 2,)", "", "go: lacks arity"},
      {R"("arity": 2)", R"("arity": "2")", "go: arity is not a small integer"},
      {R"("arity": 2)", R"("arity": 0)", "go: arity is not a number of arguments"},
      {R"("fast")", R"("fats")", "go: unknown flag fats"},
      {R"(["string"])", R"(["strings"])", "go: unknown ACL category strings"},
      {R"("RO")", R"("R")", "go: unknown key flag R"},
      {R"("step": 1)", R"("step": 0)", "go: a key spec names no key"},
      {R"("loop")", R"("here")", "go: runs_on is not loop, reads, admin or upkeep: here"},
      {R"("HandleGo")", R"("HandleGO")", "go: its handler would be named HandleGo"},
      {R"("key_spec_index": 0)", R"("key_spec_index": 1)", "go: key_spec_index of key"},
      {R"("type": "key")", R"("type": "keys")", "go: unknown type of argument keys"},
      {R"("type": "key")", R"("type": "oneof")", "go: argument key: only oneof and block have arguments, and need them"},
      {R"("handler": "HandleGo", )", "", "go: lacks handler"},
      {R"("since")", R"("sinse")", "go: unknown field sinse"},
      {R"("name": "go")", R"("name": "Go")", "Go: its name is not 1 to 24 of a-z 0-9 - _"},
  }));
  CAPTURE(c.to);
  const std::vector<std::string> errors = ErrorsAfter(c.from, c.to);
  REQUIRE_FALSE(errors.empty());
  CHECK(errors[0].ends_with(c.want));
  CHECK(errors[0].find("catalogue_") != std::string::npos);
  CHECK_FALSE(ErrorsAfter("{", "").empty());
}

TEST_CASE("the project's own command files are sound, and both outputs name every command", "[proto]") {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(COMMAND_FILES)) files.push_back(entry.path());
  const Catalogue catalogue = ReadCatalogue(files);
  CHECK(catalogue.errors.empty());
  REQUIRE(catalogue.commands.size() >= 68);
  const std::string registry = EmitRegistry(catalogue.commands);
  const std::string table = EmitTable(catalogue.commands);
  for (const Command& command : catalogue.commands) {
    CAPTURE(command.name);
    CHECK(registry.find("{\"" + command.name + "\", ") != std::string::npos);
    if (!command.handler.empty()) CHECK(registry.find("&" + command.handler + ",") != std::string::npos);
  }
  CHECK(table.find("| `SET key value [NX \\| XX] [GET] ") != std::string::npos);
}

TEST_CASE("a command described twice is an error", "[proto]") {
  const std::string one = R"({"name": "go", "summary": "s", "complexity": "c", "since": "1", "arity": 1, "flags": [],
      "acl_categories": [], "runs_on": "loop", "handler": "HandleGo"})";
  const TemporaryFile file(R"({"group": "g", "commands": [)" + one + "," + one + "]}");
  const Catalogue catalogue = ReadCatalogue({file.path()});
  REQUIRE(catalogue.errors.size() == 1);
  CHECK(catalogue.errors[0] == "go: described twice");
}

}  // namespace lsmkv::proto
