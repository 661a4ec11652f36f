// One workload on one engine in a process of its own: this program, started again. So memory, its peak, CPU time and I/O are
// that run's alone, no cache is warm but the operating system's, and an engine that crashes takes nothing with it.
#pragma once

#include <span>
#include <string>

#include "bench/measurement.h"
#include "bench/settings.h"

namespace lsmkv::bench {

/// What a child's arguments begin with.
inline constexpr const char* kChildFlag = "--child";

/// Starts the child, waits for it, and returns what it measured. Its standard output and error go to `log_file`, which the
/// error names if it fails.
/// @param dir  the engine's data directory.
Result<Measurement> MeasureInChild(const Settings& settings, const std::string& engine, const std::string& workload, const std::string& dir,
                                   const std::string& log_file);

/// The child's main(): `arguments` are those behind kChildFlag. Returns its exit code.
int RunAsChild(std::span<const std::string> arguments);

}  // namespace lsmkv::bench
