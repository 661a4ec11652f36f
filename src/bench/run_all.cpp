#include "bench/run_all.h"

#include <fmt/format.h>

#include "bench/child_process.h"

namespace lsmkv::bench {
namespace {

std::vector<const Workload*> ChosenWorkloads(const Settings& settings) {
  std::vector<const Workload*> chosen;
  for (const std::string& name : settings.benchmarks) chosen.push_back(FindWorkload(name));
  if (chosen.empty())
    for (const Workload& workload : Workloads()) chosen.push_back(&workload);
  return chosen;
}

class Runner {
 public:
  Runner(const Settings& settings, const WorkDirectory& dir, const std::function<void(const std::string&)>& progress)
      : settings_(settings), dir_(dir), progress_(progress) {}

  Status RunRound(std::uint64_t round, const std::vector<const Workload*>& workloads, const std::vector<const EngineKind*>& engines,
                  Outcome* outcome) {
    bool same_data = !settings_.existing_data;       // on all engines, as far as is known
    for (const EngineKind* engine : engines) {
      if (settings_.existing_data) continue;
      if (Status status = dir_.RemoveData(engine->name); !status.ok()) return status;
    }
    for (std::size_t w = 0; w < workloads.size(); ++w) {
      const Workload& workload = *workloads[w];
      if (workload.fresh) same_data = true;
      std::vector<const Series*> compared;
      for (std::size_t e = 0; e < engines.size(); ++e) {
        Series& series = (*outcome)[w * engines.size() + e];
        Result<Measurement> measurement = RunOne(workload, *engines[e]);
        if (!measurement) return measurement.error();
        progress_(fmt::format("round {}/{}  {:<16} {:<8} {:>9.1f} thousand/s", round + 1, settings_.rounds, workload.name, engines[e]->name,
                              measurement->operations_per_second() / 1000));
        series.rounds.push_back(std::move(*measurement));
        compared.push_back(&series);
      }
      if (!workload.deterministic()) same_data = false;
      if (!same_data) continue;
      if (Status status = CheckAgreement(workload, compared); !status.ok()) return status;
    }
    return {};
  }

 private:
  Result<Measurement> RunOne(const Workload& workload, const EngineKind& engine) {
    if (workload.fresh) {
      if (Status status = dir_.RemoveData(engine.name); !status.ok()) return status;
    } else if (!dir_.HasData(engine.name)) {
      progress_(fmt::format("           fillrandom on {}, unmeasured: {} needs data", engine.name, workload.name));
      if (Result<Measurement> prepared = Measure("fillrandom", engine); !prepared) return prepared;
    }
    return Measure(workload.name, engine);
  }
  Result<Measurement> Measure(const std::string& workload, const EngineKind& engine) {
    if (Status status = dir_.SyncDisk(); !status.ok()) return status;
    return MeasureInChild(settings_, engine.name, workload, dir_.DataOf(engine.name), dir_.LogOf(engine.name));
  }

  const Settings& settings_;
  const WorkDirectory& dir_;
  const std::function<void(const std::string&)>& progress_;
};

}  // namespace

Status CheckAgreement(const Workload& workload, const std::vector<const Series*>& engines) {
  if (engines.empty()) return {};
  const auto differ = [&](const char* what, double Measurement::*figure) -> Status {
    const Series& first = *engines.front();
    for (const Series* other : engines) {
      const double a = first.rounds.back().*figure;
      const double b = other->rounds.back().*figure;
      if (a != b)
        return Status::Corruption(fmt::format("{}: {} has {:.0f} {}, {} has {:.0f}; one of them lost or invented entries",
                                              workload.name, first.engine->name, a, what, other->engine->name, b));
    }
    return {};
  };
  if (Status status = differ("entries found", &Measurement::found); !status.ok()) return status;
  return differ("live entries", &Measurement::live_entries);
}

Result<Outcome> RunAll(const Settings& settings, const std::vector<const EngineKind*>& engines, const WorkDirectory& dir,
                       const std::function<void(const std::string&)>& progress) {
  const std::vector<const Workload*> workloads = ChosenWorkloads(settings);
  Outcome outcome;
  for (const Workload* workload : workloads)
    for (const EngineKind* engine : engines) outcome.push_back({workload, engine, {}});
  Runner runner(settings, dir, progress);
  for (std::uint64_t round = 0; round < settings.rounds; ++round) {
    if (Status status = runner.RunRound(round, workloads, engines, &outcome); !status.ok()) return status;
  }
  return outcome;
}

}  // namespace lsmkv::bench
