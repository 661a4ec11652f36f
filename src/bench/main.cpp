// lsmkv-bench: what settings.h lists, on what engines.h lists, in the order of run_all.h, told by report.h.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "bench/child_process.h"
#include "bench/report.h"

// Read by jemalloc at its start: the server's own settings (src/main.cpp), here for all engines.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "background_thread:true,dirty_decay_ms:5000,muzzy_decay_ms:5000";
}

namespace lsmkv::bench {
namespace {

Status WriteText(const std::string& file, const std::string& text) {
  std::ofstream stream(file);
  stream << text;
  stream.close();
  return stream ? Status() : Status::IoError("--json " + file + ": cannot be written");
}

Status RunAndReport(const Settings& settings) {
  const Result<std::vector<const EngineKind*>> engines = ChooseEngines(settings);
  if (!engines) return engines.error();
  // Before hours of measuring, not after.
  if (!settings.json.empty()) {
    if (Status status = WriteText(settings.json, ""); !status.ok()) return status;
  }
  const Result<WorkDirectory> dir = WorkDirectory::Open(settings.dir, settings.existing_data);
  if (!dir) return dir.error();
  Surroundings surroundings;
  surroundings.machine = ReadMachine();
  surroundings.file_system = FileSystemOf(dir->path()).value_or("unknown file system");
  const auto progress = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
  const Result<Outcome> outcome = RunAll(settings, *engines, *dir, progress);
  if (!outcome) return outcome.status().WithContext("stopped, and " + dir->path() + " left as it is");
  std::fputs(TableText(settings, surroundings, *outcome).c_str(), stdout);
  if (!settings.json.empty()) {
    if (Status status = WriteText(settings.json, JsonText(settings, surroundings, *outcome)); !status.ok()) return status;
  }
  return settings.keep_data || settings.existing_data ? Status() : dir->Remove();
}

int Main(const std::vector<std::string>& arguments) {
  if (!arguments.empty() && arguments.front() == kChildFlag) return RunAsChild(std::span(arguments).subspan(1));
  const Result<Settings> settings = ParseSettings(arguments);
  if (settings && settings->help) return std::fputs(HelpText().c_str(), stdout) < 0;
  const Status status = settings ? RunAndReport(*settings) : settings.error();
  if (status.ok()) return 0;
  std::fprintf(stderr, "lsmkv-bench: %s\n", status.message().c_str());
  return 1;
}

}  // namespace
}  // namespace lsmkv::bench

int main(int argc, char** argv) { return lsmkv::bench::Main(std::vector<std::string>(argv + 1, argv + argc)); }
