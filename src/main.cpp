// lsmkv-server: takes the command line apart and puts the server together.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "base/log.h"
#include "commands/version.h"
#include "config/config.h"
#include "server/logging.h"
#include "server/ping.h"
#include "server/server.h"

// Read by jemalloc at its start: pages go back to the system by a thread of its own, not on somebody's request, and there
// are few arenas, since what is freed in one is of no use to a thread of another (TuneAllocator sets the pace by the budget).
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "background_thread:true,narenas:4,dirty_decay_ms:1000,muzzy_decay_ms:0";
}

namespace {

int Fail(const lsmkv::Status& status) {
  std::fprintf(stderr, "lsmkv-server: %s\n", status.message().c_str());
  return 1;
}

int Serve(std::unique_ptr<lsmkv::Config> config) {
  const auto settings = config->Current();
  if (const lsmkv::Status status = lsmkv::StartLogging(settings->logfile, settings->loglevel); !status.ok()) return Fail(status);
  const lsmkv::Status status = lsmkv::Server::Serve(std::move(config));
  if (!status.ok()) lsmkv::LogError("server", "{}", status.message());
  lsmkv::StopLogging();
  return status.ok() ? 0 : Fail(status);
}

}  // namespace

int main(int argc, char** argv) {
  using Mode = lsmkv::CommandLine::Mode;
  const lsmkv::Result<lsmkv::CommandLine> command_line =
      lsmkv::ParseCommandLine(std::vector<std::string>(argv + 1, argv + argc));
  if (!command_line) return Fail(command_line.error());
  switch (command_line->mode) {
    case Mode::kHelp: return std::fputs(lsmkv::HelpText().c_str(), stdout) < 0;
    case Mode::kVersion: return std::printf("lsmkv-server %s\n", std::string(lsmkv::kServerVersion).c_str()) < 0;
    case Mode::kPrintDefaultConfig: return std::fputs(lsmkv::DefaultConfigText().c_str(), stdout) < 0;
    case Mode::kServe:
    case Mode::kCheckConfig:
    case Mode::kPing: break;
  }
  lsmkv::Result<std::unique_ptr<lsmkv::Config>> config = lsmkv::Config::Load(*command_line);
  if (!config) return Fail(config.error());
  if (command_line->mode == Mode::kCheckConfig) return std::puts("the configuration is fine") < 0;
  if (command_line->mode == Mode::kPing) {
    const lsmkv::Status status = lsmkv::PingServer(*(*config)->Current());
    return status.ok() ? 0 : Fail(status);
  }
  return Serve(std::move(*config));
}
