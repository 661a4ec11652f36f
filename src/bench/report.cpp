#include "bench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace lsmkv::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kMeasured = "lsmkv";        // whose ratios to the others are shown

const Series* SeriesOf(const Outcome& outcome, const Workload* workload, std::string_view engine) {
  const auto found = std::ranges::find_if(outcome, [&](const Series& s) { return s.workload == workload && engine == s.engine->name; });
  return found == outcome.end() ? nullptr : &*found;
}

std::vector<const EngineKind*> EnginesOf(const Outcome& outcome) {
  std::vector<const EngineKind*> engines;
  for (const Series& series : outcome)
    if (std::ranges::find(engines, series.engine) == engines.end()) engines.push_back(series.engine);
  return engines;
}

std::optional<double> RatioTo(const Outcome& outcome, const Series& peer) {
  const Series* measured = SeriesOf(outcome, peer.workload, kMeasured);
  if (measured == nullptr || measured == &peer) return std::nullopt;
  return MedianRatio(*measured, peer);
}

/// With as many digits as are worth reading; "-" where there is nothing to say.
std::string Number(double value, bool known = true) {
  if (!known) return "-";
  return fmt::format("{:.{}f}", value, value >= 100 ? 0 : value >= 10 ? 1 : 2);
}

std::string BuildText(const EngineKind& engine) {
  const EngineBuild build = engine.build();
  std::string text = fmt::format("{} {}", engine.name, build.version);
  if (!build.library.empty()) text += fmt::format(", {}", build.library);
  if (build.assertions) text += *build.assertions ? ", assertions ON" : ", assertions off";
  return text;
}

std::string HeaderText(const Settings& settings, const Surroundings& surroundings, const Outcome& outcome) {
  const EngineOptions options = OptionsFor(settings, {});
  std::string text = fmt::format(
      "{} entries, keys of {} and values of {} bytes, compression {}, {} bloom bits a key, {} thread{}, wal-sync {}, median of {} round{}\n",
      settings.num, settings.key_bytes, settings.value_bytes, NameOf(settings.compression), settings.bloom_bits, settings.threads,
      settings.threads == 1 ? "" : "s", NameOf(settings.wal_sync), settings.rounds, settings.rounds == 1 ? "" : "s");
  text += fmt::format("memory {} MB: {} memtables of {:.1f} MB, block cache {} MB with filters and indexes\n", settings.memory_mb,
                      options.memtables, static_cast<double>(options.memtable_bytes) / (1 << 20), options.cache_bytes >> 20);
  text += fmt::format("levels: L0 {} tables or {} MB, LN {} MB x {}^N, tables of {} MB, {} compaction threads\n", options.l0_tables,
                      options.base_bytes >> 20, options.base_bytes >> 20, options.level_ratio, settings.table_mb, options.workers);
  const Machine& machine = surroundings.machine;
  text += fmt::format("machine: {} x {}, {} MB, {}, {}; malloc of all: {}\n", machine.cores, machine.cpu, machine.memory_mb, machine.kernel,
                      surroundings.file_system, machine.allocator);
  for (const EngineKind* engine : EnginesOf(outcome)) text += BuildText(*engine) + "\n";
  return text;
}

/// One row of the table, in the columns of kColumns.
std::vector<std::string> Row(const Outcome& outcome, const Series& series) {
  const Measurement m = MedianOf(series.rounds);
  const bool wrote = m.user_bytes > 0;
  const bool timed = m.max_us > 0;             // each operation by itself
  const std::optional<double> ratio = RatioTo(outcome, series);
  constexpr double kMiB = 1 << 20;
  return {series.workload->name,
          series.engine->name,
          Number(m.operations_per_second() / 1000),
          ratio ? fmt::format("{:.2f}", *ratio) : "",
          Number(m.cpu_us_per_operation()),
          Number(m.p50_us, timed),
          Number(m.p99_us, timed),
          Number(m.p999_us, timed),
          Number(m.max_us / 1000, timed),
          Number(m.settle_seconds, series.workload->changes_tree()),
          Number(m.write_amplification(), wrote && m.device_bytes > 0),
          Number(m.space_amplification(), m.live_bytes > 0),
          Number(m.peak_rss_bytes / kMiB),
          m.writer_operations > 0 ? Number(m.writer_operations / m.seconds / 1000) : ""};
}

struct Column {
  const char* title;
  const char* unit;
  bool left = false;
};
constexpr Column kColumns[] = {{"benchmark", "", true}, {"engine", "", true}, {"rate", "1000/s"}, {"lsmkv", "/it"}, {"CPU", "us/op"},
                               {"p50", "us"}, {"p99", "us"}, {"p99.9", "us"}, {"max", "ms"}, {"settle", "s"}, {"write", "amp"},
                               {"space", "amp"}, {"RSS", "MB peak"}, {"writer", "1000/s"}};

std::string Line(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i)
    line += kColumns[i].left ? fmt::format("{:<{}}  ", cells[i], widths[i]) : fmt::format("{:>{}}  ", cells[i], widths[i]);
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string NotesText(const Outcome& outcome, const std::string& file_system) {
  std::string text =
      "CPU: user and system of all threads, flushes and compactions that follow included. settle: from the last write until those\n"
      "are done. write amp: bytes of pages dirtied (/proc/self/io write_bytes, the log's included) to bytes of keys and values\n"
      "written. space amp: bytes on disk after settling, the log's reserved space included, to bytes of the live entries.\n";
  if (file_system == "tmpfs") text += "The data is on a tmpfs: no device, so no write amplification. Name a directory on a disk by --dir.\n";
  for (const EngineKind* engine : EnginesOf(outcome)) {
    if (*engine->differs != '\0') text += fmt::format("{}: {}.\n", engine->name, engine->differs);
    if (std::string_view(engine->name) == "rocksdb" && engine->build().assertions.value_or(false))
      text += "rocksdb: this library was built with its assertions on, as Debian's is; one without is up to twice as fast, so that 2.00 here\n"
              "is what 1.00 is there. Another build can be named when lsmkv-bench is built: -DLSMKV_ROCKSDB_ROOT=DIR.\n";
  }
  return text;
}

Json EngineToJson(const EngineKind& engine) {
  const EngineBuild build = engine.build();
  Json json{{"name", engine.name}, {"version", build.version}, {"library", build.library}};
  json["assertions"] = build.assertions ? Json(*build.assertions) : Json(nullptr);
  json["differs"] = engine.differs;
  return json;
}

Json FiguresToJson(const Measurement& m) {
  Json json = Json::parse(ToJson(m));
  json["operations_per_second"] = m.operations_per_second();
  json["cpu_us_per_operation"] = m.cpu_us_per_operation();
  json["write_amplification"] = m.user_bytes > 0 && m.device_bytes > 0 ? Json(m.write_amplification()) : Json(nullptr);
  json["space_amplification"] = m.live_bytes > 0 ? Json(m.space_amplification()) : Json(nullptr);
  return json;
}

}  // namespace

std::optional<double> MedianRatio(const Series& a, const Series& b) {
  std::vector<double> ratios;
  for (std::size_t round = 0; round < std::min(a.rounds.size(), b.rounds.size()); ++round) {
    const double divisor = b.rounds[round].operations_per_second();
    if (!(divisor > 0)) return std::nullopt;
    ratios.push_back(a.rounds[round].operations_per_second() / divisor);
  }
  if (ratios.empty()) return std::nullopt;
  return Median(std::move(ratios));
}

std::string TableText(const Settings& settings, const Surroundings& surroundings, const Outcome& outcome) {
  std::vector<std::string> titles;
  std::vector<std::string> units;
  for (const Column& column : kColumns) {
    titles.emplace_back(column.title);
    units.emplace_back(column.unit);
  }
  std::vector<std::vector<std::string>> rows{titles, units};
  for (const Series& series : outcome) rows.push_back(Row(outcome, series));
  std::vector<std::size_t> widths(titles.size(), 0);
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text = HeaderText(settings, surroundings, outcome) + "\n";
  const Workload* above = outcome.empty() ? nullptr : outcome.front().workload;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i >= 2 && outcome[i - 2].workload != above) text += "\n";
    if (i >= 2) above = outcome[i - 2].workload;
    text += Line(rows[i], widths);
  }
  return text + "\n" + NotesText(outcome, surroundings.file_system);
}

std::string JsonText(const Settings& settings, const Surroundings& surroundings, const Outcome& outcome) {
  Json json;
  for (const auto& [name, text] : ToTexts(settings))
    if (name != "help") json["settings"][name] = text;
  const Machine& machine = surroundings.machine;
  json["machine"] = {{"cpu", machine.cpu}, {"cores", machine.cores}, {"memory_mb", machine.memory_mb}, {"kernel", machine.kernel},
                     {"allocator", machine.allocator}, {"file_system", surroundings.file_system}};
  json["engines"] = Json::array();
  for (const EngineKind* engine : EnginesOf(outcome)) json["engines"].push_back(EngineToJson(*engine));
  json["results"] = Json::array();
  for (const Series& series : outcome) {
    Json result{{"benchmark", series.workload->name}, {"engine", series.engine->name}};
    const std::optional<double> ratio = RatioTo(outcome, series);
    result["lsmkv_ratio"] = ratio ? Json(*ratio) : Json(nullptr);
    result["median"] = FiguresToJson(MedianOf(series.rounds));
    result["rounds"] = Json::array();
    for (const Measurement& round : series.rounds) result["rounds"].push_back(FiguresToJson(round));
    json["results"].push_back(std::move(result));
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace lsmkv::bench
