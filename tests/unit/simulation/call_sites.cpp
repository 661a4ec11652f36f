#include "call_sites.h"

#include <algorithm>
#include <iterator>

namespace lsmkv::simulation {
namespace {

CallSite SiteOf(FaultFileSystem::Call call, const std::string& path) {
  constexpr const char* kNames[] = {"look at", "open", "read", "create", "append to", "resize", "sync", "close", "rename", "link", "remove"};
  CallSite site = std::string(kNames[static_cast<std::size_t>(call)]) + " ";
  std::ranges::copy_if(path, std::back_inserter(site), [](char c) { return c < '0' || c > '9'; });
  return site;
}

}  // namespace

void NoteSites(Run& run) {
  // Called by the file system, under its lock.
  run.fs.OnCall([&run](FaultFileSystem::Call call, const std::string& path, std::optional<Fault> struck) {
    constexpr std::size_t kFirst = 6;
    const CallSite site = SiteOf(call, path);
    if (struck && run.struck.empty()) run.struck = site;
    if (run.is_ending) return;               // there a disturbed run goes another way
    for (std::size_t fault = 0; fault < kFaults; ++fault) {
      if (!FaultFileSystem::Concerns(static_cast<Fault>(fault), call)) continue;
      const std::uint64_t number = ++run.calls[fault];
      std::vector<std::uint64_t>& calls = run.sites[fault][site];
      if (calls.size() < kFirst) calls.push_back(number);
    }
  });
}

}  // namespace lsmkv::simulation
