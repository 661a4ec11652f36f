#include "bench/measurement.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace lsmkv::bench {
namespace {

constexpr MeasurementField kFields[] = {
    {"operations", &Measurement::operations},
    {"seconds", &Measurement::seconds},
    {"found", &Measurement::found},
    {"mean_us", &Measurement::mean_us},
    {"p50_us", &Measurement::p50_us},
    {"p99_us", &Measurement::p99_us},
    {"p999_us", &Measurement::p999_us},
    {"max_us", &Measurement::max_us},
    {"cpu_us", &Measurement::cpu_us},
    {"writer_operations", &Measurement::writer_operations},
    {"writer_p99_us", &Measurement::writer_p99_us},
    {"writer_max_us", &Measurement::writer_max_us},
    {"settle_seconds", &Measurement::settle_seconds},
    {"settle_cpu_us", &Measurement::settle_cpu_us},
    {"user_bytes", &Measurement::user_bytes},
    {"device_bytes", &Measurement::device_bytes},
    {"written_bytes", &Measurement::written_bytes},
    {"read_bytes", &Measurement::read_bytes},
    {"live_entries", &Measurement::live_entries},
    {"live_bytes", &Measurement::live_bytes},
    {"directory_bytes", &Measurement::directory_bytes},
    {"log_bytes", &Measurement::log_bytes},
    {"peak_rss_bytes", &Measurement::peak_rss_bytes},
    {"anonymous_bytes", &Measurement::anonymous_bytes},
};

using Json = nlohmann::ordered_json;

}  // namespace

std::span<const MeasurementField> MeasurementFields() { return kFields; }

std::string ToJson(const Measurement& measurement) {
  Json json;
  for (const MeasurementField& field : kFields) json[field.name] = measurement.*field.value;
  json["tree"] = measurement.tree;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string ErrorToJson(const Status& status) {
  return Json{{"error", status.message()}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Measurement> ParseMeasurement(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return Status::Corruption("a measurement that is no JSON object");
  if (const auto error = json.find("error"); error != json.end() && error->is_string())
    return Status::IoError(error->get<std::string>());
  Measurement measurement;
  for (const MeasurementField& field : kFields) {
    const auto value = json.find(field.name);
    if (value == json.end() || !value->is_number()) return Status::Corruption(std::string("a measurement without a number for ") + field.name);
    measurement.*field.value = value->get<double>();
  }
  if (const auto tree = json.find("tree"); tree != json.end() && tree->is_string()) measurement.tree = tree->get<std::string>();
  return measurement;
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Measurement MedianOf(std::span<const Measurement> rounds) {
  Measurement median;
  for (const MeasurementField& field : kFields) {
    std::vector<double> values;
    values.reserve(rounds.size());
    for (const Measurement& round : rounds) values.push_back(round.*field.value);
    median.*field.value = Median(std::move(values));
  }
  for (const Measurement& round : rounds) median.max_us = std::max(median.max_us, round.max_us);
  if (!rounds.empty()) median.tree = rounds.back().tree;
  return median;
}

}  // namespace lsmkv::bench
