#include <catch2/catch.hpp>

#include "include_arrows.h"

using namespace lsmkv::structure;

TEST_CASE("every #include follows an arrow of the plan", "[structure]") {
  std::size_t files = 0;
  const auto wrong = WrongArrowsIn(LSMKV_REPOSITORY, &files);
  CHECK(files > 20);   // it did look
  for (const std::string& line : wrong) FAIL_CHECK(line);
}

TEST_CASE("an arrow that is not in the plan is caught", "[structure]") {
  struct Case {
    const char* file;
    const char* line;
    bool allowed;
  };
  const auto c = GENERATE(values<Case>({
      {"src/server/session.cpp", "#include \"commands/command.h\"", true},
      {"src/server/session.cpp", "#include <boost/asio/write.hpp>", true},
      {"src/server/session.cpp", "#include \"lsmkv/engine.h\"", true},
      {"src/server/session.cpp", "#include \"engine/version/version.h\"", false},
      {"src/server/session.cpp", "#include \"fs/file_system.h\"", false},
      {"src/commands/string.cpp", "#include \"server/session.h\"", false},
      {"src/commands/string.cpp", "#include <boost/asio.hpp>", false},
      {"src/keyspace/keyspace.cpp", "#include \"resp/writer.h\"", false},
      {"src/keyspace/keyspace.cpp", "  #  include \"engine/engine_impl.h\"", false},
      {"src/resp/parser.cpp", "#include \"keyspace/keyspace.h\"", false},
      {"src/config/config.cpp", "#include \"base/mutex.h\"", true},
      {"src/config/config.cpp", "#include \"fs/file_system.h\"", false},
      {"src/base/hash.h", "#include <xxhash.h>", true},
      {"src/base/hash.h", "#include \"lsmkv/status.h\"", true},
      {"src/base/hash.h", "#include \"fs/file_system.h\"", false},
      {"src/fs/posix_file_system.cpp", "#include \"engine/wal/log_writer.h\"", false},
      {"src/main.cpp", "#include \"engine/engine.h\"", true},
      {"include/lsmkv/engine.h", "#include \"lsmkv/status.h\"", true},
      {"include/lsmkv/engine.h", "#include \"base/hash.h\"", false},
      {"src/engine/wal/log_writer.cpp", "#include \"engine/internal_iterator.h\"", true},
      {"src/engine/wal/log_writer.cpp", "#include \"engine/sstable/block.h\"", false},
      {"src/engine/wal/log_writer.cpp", "#include \"engine/engine_impl.h\"", false},
      {"src/engine/sstable/block.cpp", "#include \"engine/version/version.h\"", false},
      {"src/engine/version/version.cpp", "#include \"engine/sstable/block.h\"", true},
      {"src/engine/version/version.cpp", "#include \"engine/compaction/picker.h\"", false},
      {"src/engine/compaction/picker.cpp", "#include \"engine/version/version.h\"", true},
      {"src/engine/engine_impl.cpp", "#include \"engine/compaction/picker.h\"", true},
      {"src/bench/lsmkv_adapter.cpp", "#include \"lsmkv/engine.h\"", true},
      {"src/bench/lsmkv_adapter.cpp", "#include \"engine/engine_impl.h\"", false},
      {"src/bench/lsmkv_adapter.cpp", "#include \"fs/file_system.h\"", false},
      {"src/server/session.cpp", "#include \"../engine/engine_impl.h\"", false},
      {"src/commands/string.cpp", "// #include \"server/session.h\" is what it must not say", true},
      {"src/tool/dump.cpp", "#include \"engine/wal/log_reader.h\"", true},
      {"src/tool/dump.cpp", "#include \"engine/engine_impl.h\"", false},
      {"src/tool/dump.cpp", "#include \"commands/command.h\"", false},
      {"src/newcomer/a.cpp", "int a;", false},
      {"src/stray.cpp", "int a;", false},
  }));
  CAPTURE(c.file, c.line);
  CHECK(WrongArrows(c.file, c.line).empty() == c.allowed);
}

TEST_CASE("a wrong arrow is named with file, line and both folders", "[structure]") {
  CHECK(WrongArrows("src/resp/parser.cpp", "\n#include \"keyspace/keyspace.h\"\n") ==
        std::vector<std::string>{"src/resp/parser.cpp:2: resp includes keyspace/keyspace.h, and no arrow goes from resp to keyspace"});
}
