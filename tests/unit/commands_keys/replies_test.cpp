// tests/data/commands/*.txt: command lines, "----", and the exact bytes of their replies, a line each. Lines that start with #
// are comments; the blocks of a file are one session. The replies were given by Redis itself.
#include <filesystem>
#include <fstream>

#include "commands_keys/key_bench.h"

namespace lsmkv {
namespace {

std::string Escaped(std::string_view bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\r') {
      text += "\\r";
    } else if (c == '\n') {
      text += "\\n";
    } else if (c == '\\') {
      text += "\\\\";
    } else if (byte >= 32 && byte < 127) {
      text += c;
    } else {
      text.append("\\x") += kHex[byte >> 4];
      text += kHex[byte & 15];
    }
  }
  return text;
}

void RunFile(const std::filesystem::path& path, unsigned would_block_one_in) {
  KeyBench bench;
  bench.engine.would_block_one_in = would_block_one_in;
  std::ifstream file(path);
  std::vector<std::string> commands;
  std::size_t answered = 0;
  bool replies = false;
  std::string line;
  while (std::getline(file, line)) {
    if (line.empty()) {
      REQUIRE(answered == commands.size());
      commands.clear();
      answered = 0;
      replies = false;
    } else if (line == "----") {
      replies = true;
    } else if (replies) {
      REQUIRE(answered < commands.size());
      const std::string& command = commands[answered++];
      CAPTURE(path.filename().string(), command);
      CHECK(Escaped(bench.ServeLine(command)) == line);
    } else if (!line.starts_with('#')) {
      commands.push_back(line);
    }
  }
  REQUIRE(answered == commands.size());
}

TEST_CASE("every reply is Redis's, byte for byte, wherever the command ran", "[commands]") {
  const unsigned would_block_one_in = GENERATE(0u, 1u, 3u);
  CAPTURE(would_block_one_in);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(LSMKV_TEST_DATA "/commands")) {
    RunFile(entry.path(), would_block_one_in);
    ++files;
  }
  CHECK(files >= 6);
}

}  // namespace
}  // namespace lsmkv
