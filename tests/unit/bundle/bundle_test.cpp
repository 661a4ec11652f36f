#include "bundle_fixture.h"

using namespace lsmkv;
using namespace lsmkv::bundle_test;

TEST_CASE("a bundle reads back as what was put in, with another prefix and one sequence number", "[bundle]") {
  const std::uint64_t max_table_bytes = GENERATE(1u, 3000u, 1u << 30);
  const std::string old_prefix = GENERATE(as<std::string>(), "", "old:");
  const std::string new_prefix = GENERATE(as<std::string>(), "", "new:", std::string("\x10\0", 2));
  FaultFileSystem fs;
  const Model model = SomeModel(300);
  const BundleDescription made = WriteBundle(fs, "in", old_prefix, model, max_table_bytes);
  CHECK(made.entries == 300);
  CHECK((made.tables.size() > 1) == (max_table_bytes < 1u << 30));
  const IncomingRun run(MustOpen(fs, "in"), new_prefix, 77);
  CHECK(run.smallest_key() == new_prefix + model.begin()->first);
  CHECK(run.largest_key() == new_prefix + model.rbegin()->first);
  const auto iterator = run.NewIterator();
  iterator->SeekToFirst();
  CHECK(Collect(*iterator, new_prefix, 77) == model);
  CHECK(iterator->status().ok());
  for (const std::string target : {"", "a", "k", "k100150", "k100299", "k2", "z"}) {
    CAPTURE(target);
    iterator->Seek(new_prefix + target);
    CHECK(Collect(*iterator, new_prefix, 77) == Model(model.lower_bound(target), model.end()));
    CHECK(iterator->status().ok());
  }
  iterator->Seek("");
  CHECK(Collect(*iterator, new_prefix, 77) == model);
  iterator->Seek("\xff");
  CHECK(Collect(*iterator, new_prefix, 77).empty());
}

TEST_CASE("a bundle is whole or not a bundle: a power cut at any call", "[bundle][crash]") {
  const Model model = SomeModel(60);
  bool finished = false;
  for (std::uint64_t call = 1; !finished; ++call) {
    CAPTURE(call);
    FaultFileSystem fs;
    REQUIRE(fs.CreateDirectories("in").ok());
    REQUIRE(fs.SyncDirectory(".").ok());
    fs.FailCall(call, Fault::kWriteError, FaultSpan::kFromThenOn);
    {
      BundleOptions options;
      options.max_table_bytes = 500;
      BundleWriter writer(fs, Clock::System(), "in", "", options);
      for (const auto& [key, value] : model) {
        if (!writer.Add(key, value.bytes, value.expire_at_ms).ok()) break;
      }
      const Result<BundleDescription> made = writer.Finish();
      finished = made.has_value();
    }
    fs.PowerCut(call, CutMode::kLost);
    fs.ClearFaults();
    const Result<std::shared_ptr<const Bundle>> bundle = Bundle::Open(fs, "in");
    if (finished) REQUIRE(bundle);
    if (!bundle) continue;
    const IncomingRun run(*bundle, "", 1);
    const auto iterator = run.NewIterator();
    iterator->SeekToFirst();
    CHECK(Collect(*iterator, "", 1) == model);
  }
}

TEST_CASE("no flipped bit of a bundle goes through", "[bundle][damage]") {
  FaultFileSystem fs;
  const Model model = SomeModel(40);
  WriteBundle(fs, "in", "p", model, 700);
  for (const std::string file : {"in/bundle.json", "in/table_000001.sst", "in/table_000002.sst"}) {
    const std::uint64_t bits = *fs.FileSize(file) * 8;
    for (std::uint64_t bit = 3; bit < bits; bit += 37) {
      CAPTURE(file, bit);
      REQUIRE(fs.FlipBit(file, bit).ok());
      const Result<std::shared_ptr<const Bundle>> bundle = Bundle::Open(fs, "in");
      if (bundle) {
        const IncomingRun run(*bundle, "p", 1);
        const auto iterator = run.NewIterator();
        iterator->SeekToFirst();
        const Model found = Collect(*iterator, "p", 1);
        // A filter is not read; white space of the description does not count.
        if (iterator->status().ok()) REQUIRE(found == model);
      } else {
        REQUIRE(bundle.error().message().find("in/") != std::string::npos);
      }
      REQUIRE(fs.FlipBit(file, bit).ok());
    }
  }
}

TEST_CASE("a table that turns into another one under the reader's hands ends the stream", "[bundle][damage]") {
  FaultFileSystem fs;
  Model other;
  for (const auto& [key, value] : SomeModel(40)) other["z" + key.substr(1)] = value;
  WriteBundle(fs, "in", "", SomeModel(40), 1u << 20);
  WriteBundle(fs, "other", "", other, 1u << 20);
  const IncomingRun run(MustOpen(fs, "in"), "", 1);
  REQUIRE(*fs.FileSize("in/table_000001.sst") == *fs.FileSize("other/table_000001.sst"));
  REQUIRE(fs.RemoveFile("in/table_000001.sst").ok());
  REQUIRE(fs.Link("other/table_000001.sst", "in/table_000001.sst").ok());
  const auto iterator = run.NewIterator();
  iterator->SeekToFirst();
  CHECK_FALSE(iterator->Valid());
  CHECK(iterator->status().code() == StatusCode::kCorruption);
  CHECK(iterator->status().message().find("outside of the table's range") != std::string::npos);
}

TEST_CASE("a description says exactly what is wrong with it", "[bundle]") {
  FaultFileSystem fs;
  const BundleDescription good = WriteBundle(fs, "in", "p", SomeModel(40), 700);
  REQUIRE(DecodeBundle(EncodeBundle(good), "b").value() == good);
  struct Case {
    const char* what;
    std::function<void(BundleDescription&)> change;
    const char* says;
  };
  const auto c = GENERATE(values<Case>({
      {"no tables", [](auto& b) { b.tables.clear(); b.entries = 0; }, "no tables"},
      {"a path", [](auto& b) { b.tables[0].file = "../x.sst"; }, "plain name"},
      {"overlap", [](auto& b) { b.tables[1].smallest_key = b.tables[0].largest_key; }, "overlap"},
      {"another prefix", [](auto& b) { b.key_prefix = "q"; }, "key_prefix"},
      {"a wrong sum", [](auto& b) { ++b.entries; }, "sum"},
      {"range upside down", [](auto& b) { std::swap(b.tables[0].smallest_key, b.tables[0].largest_key); }, "smallest_key"},
  }));
  CAPTURE(c.what);
  BundleDescription bad = good;
  c.change(bad);
  const Result<BundleDescription> decoded = DecodeBundle(EncodeBundle(bad), "b");
  REQUIRE_FALSE(decoded);
  CHECK(decoded.error().message().starts_with("b: "));
  CHECK(decoded.error().message().find(c.says) != std::string::npos);
}

TEST_CASE("a bundle of a newer format, or none at all, is refused by name", "[bundle]") {
  FaultFileSystem fs;
  CHECK(Bundle::Open(fs, "nowhere").error().code() == StatusCode::kNotFound);
  const Result<BundleDescription> newer = DecodeBundle(R"({"format": 2, "checksum": "xxh3:0"})", "b");
  CHECK(newer.error().code() == StatusCode::kUnsupported);
  CHECK(DecodeBundle("{}", "b").error().code() == StatusCode::kCorruption);
  CHECK(DecodeBundle("][", "b").error().code() == StatusCode::kCorruption);
}
