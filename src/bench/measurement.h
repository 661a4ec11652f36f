// What one run of one workload on one engine measured. All figures are numbers in one table, from which come JSON in both
// directions (a child process hands its measurement to its parent as JSON), and the medians.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lsmkv/status.h"

namespace lsmkv::bench {

struct Measurement {
  // From the first operation to the return of the last.
  double operations = 0;
  double seconds = 0;
  double found = 0;                  ///< gets that found a value; entries seen by seeks and walks
  double mean_us = 0;
  double p50_us = 0;
  double p99_us = 0;
  double p999_us = 0;
  double max_us = 0;
  double cpu_us = 0;                 ///< user and system, of all threads
  double writer_operations = 0;      ///< of the writer of readwhilewriting
  double writer_p99_us = 0;
  double writer_max_us = 0;
  // From there until flushes and compactions are done. Reading benchmarks: 0.
  double settle_seconds = 0;
  double settle_cpu_us = 0;
  // Both together.
  double user_bytes = 0;             ///< keys and values written
  double device_bytes = 0;           ///< /proc/self/io write_bytes: pages dirtied, the log's included
  double written_bytes = 0;          ///< /proc/self/io wchar: handed to write(2)
  double read_bytes = 0;             ///< /proc/self/io rchar
  // Afterwards.
  double live_entries = 0;           ///< counted by a walk over the tree, which is not in the figures above
  double live_bytes = 0;
  double directory_bytes = 0;
  double log_bytes = 0;              ///< part of directory_bytes: write-ahead logs, mostly space reserved for later
  double peak_rss_bytes = 0;
  double anonymous_bytes = 0;        ///< RSS at the end without mapped files
  std::string tree;                  ///< the levels, as the engine puts it

  double operations_per_second() const { return seconds > 0 ? operations / seconds : 0; }
  double cpu_us_per_operation() const { return operations > 0 ? (cpu_us + settle_cpu_us) / operations : 0; }
  double write_amplification() const { return user_bytes > 0 ? device_bytes / user_bytes : 0; }
  double space_amplification() const { return live_bytes > 0 ? directory_bytes / live_bytes : 0; }
};

struct MeasurementField {
  const char* name;
  double Measurement::* value;
};
std::span<const MeasurementField> MeasurementFields();

/// One JSON object, on one line.
std::string ToJson(const Measurement& measurement);
/// A child that could not measure says why instead.
std::string ErrorToJson(const Status& status);
/// The measurement, or the error the child wrote, or kCorruption.
Result<Measurement> ParseMeasurement(std::string_view json);

/// 0 when there are none; of an even number the mean of the middle two.
double Median(std::vector<double> values);
/// Field by field, so that no single disturbed round shows; max_us is the largest of all. `tree` is the last one's.
Measurement MedianOf(std::span<const Measurement> rounds);

}  // namespace lsmkv::bench
