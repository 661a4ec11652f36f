#include "bench/report.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace lsmkv;
using namespace lsmkv::bench;

namespace {

Measurement WithRate(double per_second) {
  Measurement m;
  m.operations = per_second;
  m.seconds = 1;
  return m;
}

Series MakeSeries(const EngineKind& engine, std::vector<double> rates) {
  Series series{FindWorkload("fillrandom"), &engine, {}};
  for (const double rate : rates) series.rounds.push_back(WithRate(rate));
  return series;
}

const EngineKind kPeer{"peer", nullptr, nullptr, [] { return EngineBuild{"9.9", "/lib/peer.so", true}; }, "it has no knobs"};

}  // namespace

TEST_CASE("a median is the middle one, and of an even number the mean of two", "[bench]") {
  CHECK(Median({}) == 0);
  CHECK(Median({3, 1, 2}) == 2);
  CHECK(Median({4, 1, 3, 2}) == 2.5);
}

TEST_CASE("the median of rounds is field by field, but the longest wait is the longest of all", "[bench]") {
  std::vector<Measurement> rounds(3);
  rounds[0].seconds = 1, rounds[1].seconds = 9, rounds[2].seconds = 2;
  rounds[0].max_us = 5, rounds[1].max_us = 70, rounds[2].max_us = 6;
  const Measurement median = MedianOf(rounds);
  CHECK(median.seconds == 2);
  CHECK(median.max_us == 70);
}

TEST_CASE("a ratio is taken within a round, so what slows one round slows none of the engines", "[bench]") {
  const Series fast = MakeSeries(kLsmkv, {200, 20, 240});     // the second round was disturbed, for both
  const Series slow = MakeSeries(kPeer, {100, 10, 100});
  CHECK(MedianRatio(fast, slow) == 2.0);
  CHECK(MedianRatio(fast, MakeSeries(kPeer, {0, 0, 0})) == std::nullopt);
}

TEST_CASE("a measurement survives its way from the child process", "[bench]") {
  Measurement m;
  double value = 0.5;
  for (const MeasurementField& field : MeasurementFields()) m.*field.value = value += 1;
  m.tree = "L0: \"two\" tables\n\xff";
  const Result<Measurement> parsed = ParseMeasurement(ToJson(m));
  REQUIRE(parsed);
  for (const MeasurementField& field : MeasurementFields()) {
    CAPTURE(field.name);
    CHECK((*parsed).*field.value == m.*field.value);
  }
  CHECK(parsed->tree.starts_with("L0: \"two\" tables\n"));
}

TEST_CASE("what a child could not do, or did not say, is an error", "[bench]") {
  CHECK(ParseMeasurement(ErrorToJson(Status::NoSpace("the disk is full"))).error().message() == "the disk is full");
  CHECK(ParseMeasurement("").error().code() == StatusCode::kCorruption);
  CHECK(ParseMeasurement("[1, 2]").error().code() == StatusCode::kCorruption);
  CHECK(ParseMeasurement(R"({"operations": 5})").error().code() == StatusCode::kCorruption);
  CHECK(ParseMeasurement(R"({"operations": "many"})").error().code() == StatusCode::kCorruption);
}

TEST_CASE("table and JSON name engine, build and ratio", "[bench]") {
  const Outcome outcome{MakeSeries(kLsmkv, {300'000}), MakeSeries(kPeer, {200'000})};
  const Surroundings surroundings{{"a processor", 2, 1000, "a kernel", "an allocator"}, "ext4"};
  const std::string table = TableText(Settings(), surroundings, outcome);
  for (const char* text : {"peer 9.9, /lib/peer.so, assertions ON", "an allocator", "1.50", "peer: it has no knobs"}) {
    CAPTURE(table, text);
    CHECK(table.find(text) != std::string::npos);
  }
  const auto json = nlohmann::json::parse(JsonText(Settings(), surroundings, outcome));
  CHECK(json["engines"][1]["assertions"] == true);
  CHECK(json["settings"]["num"] == "1000000");
  CHECK(json["results"][0]["lsmkv_ratio"].is_null());
  CHECK(json["results"][1]["lsmkv_ratio"] == 1.5);
  CHECK(json["results"][1]["rounds"].size() == 1);
  CHECK(json["results"][1]["median"]["operations_per_second"] == 200'000);
}

TEST_CASE("engines that hold different entries are caught", "[bench]") {
  Series a = MakeSeries(kLsmkv, {1});
  Series b = MakeSeries(kPeer, {1});
  const std::vector<const Series*> both{&a, &b};
  CHECK(CheckAgreement(*a.workload, both).ok());
  b.rounds.back().live_entries = 1;
  CHECK_THAT(CheckAgreement(*a.workload, both).message(), Catch::Contains("lsmkv has 0 live entries, peer has 1"));
  b.rounds.back() = a.rounds.back();
  b.rounds.back().found = 2;
  CHECK_FALSE(CheckAgreement(*a.workload, both).ok());
}
