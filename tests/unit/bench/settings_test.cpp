#include "bench/settings.h"

#include <catch2/catch.hpp>

#include "bench/workload.h"

using namespace lsmkv;
using namespace lsmkv::bench;

TEST_CASE("options are taken in both forms, and the last one wins", "[bench]") {
  const std::vector<std::string> arguments{"--num", "5000", "--engines=lsmkv,rocksdb", "--keep-data", "--wal-sync", "always", "--num=6000"};
  const Result<Settings> settings = ParseSettings(arguments);
  REQUIRE(settings);
  CHECK(settings->num == 6000);
  CHECK(settings->engines == std::vector<std::string>{"lsmkv", "rocksdb"});
  CHECK(settings->keep_data);
  CHECK(settings->wal_sync == WalFsync::kAlways);
  CHECK(settings->read_operations() == 6000);
}

TEST_CASE("bad input names the option and what is allowed", "[bench]") {
  struct Case {
    std::vector<std::string> arguments;
    const char* says;
  };
  const auto c = GENERATE(values<Case>({
      {{"fillseq"}, "'fillseq' is not an option"},
      {{"--nmu", "5"}, "no option '--nmu'"},
      {{"--num"}, "--num wants a value"},
      {{"--num", "ten"}, "--num is 'ten'; it is a whole number from 1"},
      {{"--num", "0"}, "--num is '0'"},
      {{"--num", "-1"}, "--num is '-1'"},
      {{"--rounds=0"}, "--rounds is '0'"},
      {{"--memory-mb", "7"}, "whole number from 8"},
      {{"--memtables", "1"}, "whole number from 2"},
      {{"--compression", "snappy"}, "it is one of: none, lz4, zstd"},
      {{"--wal-sync", "sometimes"}, "it is one of: no, everysec, always"},
      {{"--benchmarks", "fillseq,fillslowly"}, "no benchmark 'fillslowly'; there are: fillseq, fillrandom"},
      {{"--benchmarks", "fillseq,,readseq"}, "empty name"},
      {{"--keep-data=yes"}, "--keep-data takes no value"},
      {{"--dir="}, "--dir is empty"},
      {{"--num", "1000000000", "--key-size", "8"}, "the largest key has 9 digits"},
      {{"--num", "3", "--threads", "4"}, "more than there are operations"},
      {{"--reads", "3", "--threads", "4"}, "more than there are operations"},
  }));
  CAPTURE(c.arguments);
  const Result<Settings> settings = ParseSettings(c.arguments);
  REQUIRE_FALSE(settings);
  CHECK(settings.error().code() == StatusCode::kInvalidArgument);
  CHECK_THAT(settings.error().message(), Catch::Contains(c.says));
}

TEST_CASE("a child process is told every setting", "[bench]") {
  const std::vector<std::string> arguments{
      "--engines=lsmkv", "--benchmarks=readseq,overwrite", "--num=11", "--reads=12", "--key-size=13", "--value-size=14", "--threads=5",
      "--rounds=16", "--memory-mb=17", "--memtables=18", "--compression=zstd", "--bloom-bits=19", "--wal-sync=everysec",
      "--level-ratio=20", "--base-mb=21", "--l0-tables=22", "--table-mb=23", "--workers=24", "--seek-nexts=25", "--writer-rate=26",
      "--seed=27", "--dir=a b", "--json=c", "--keep-data", "--existing-data", "--help"};
  const Result<Settings> settings = ParseSettings(arguments);
  REQUIRE(settings);
  CHECK(ToArguments(*settings) == arguments);
  CHECK(ToTexts(*settings).size() == arguments.size());    // a new option belongs into this test as well
}

TEST_CASE("the workloads are db_bench's, by name", "[bench]") {
  for (const char* name : {"fillseq", "fillrandom", "overwrite", "readrandom", "readmissing", "seekrandom", "readwhilewriting",
                           "deleterandom", "fillsync", "readseq", "compact"}) {
    CAPTURE(name);
    REQUIRE(FindWorkload(name) != nullptr);
    CHECK(HelpText().find(name) != std::string::npos);
  }
}
