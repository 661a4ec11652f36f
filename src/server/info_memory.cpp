// INFO memory: Redis's fields, and what the memory is used for, part by part, against the budget.
//
//   resident = memtables + block cache + open tables + table records + WAL buffers + background + clients    counted by
//            + other heap                what the allocator has handed out beyond the parts                  their owners
//            + allocator overhead        what the kernel has given beyond that: rounding to pages, memory that was freed and is
//                                        not given back yet, bookkeeping, stacks
//            + code                      pages of the program and its libraries
//            + unaccounted               0, or by how much the owners count more than there is (then it is negative)
//
// Other heap is what nobody names: that it stays about what it was at the start shows that the owners count right.
#include "server/memory_use.h"
#include "server/info_text.h"
#include "server/server.h"

namespace lsmkv {
namespace {

std::string Human(std::uint64_t bytes) {
  static constexpr std::string_view kUnits = "BKMGTP";
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{}B", bytes) : fmt::format("{:.2f}{}", value, kUnits[unit]);
}

std::string Ratio(std::uint64_t part, std::uint64_t whole) {
  return fmt::format("{:.2f}", whole == 0 ? 1.0 : static_cast<double>(part) / static_cast<double>(whole));
}

std::string Percent(std::uint64_t part, std::uint64_t whole) {
  return fmt::format("{:.2f}%", whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::uint64_t Less(std::uint64_t whole, std::uint64_t part) { return whole > part ? whole - part : 0; }
std::int64_t Difference(std::uint64_t a, std::uint64_t b) { return static_cast<std::int64_t>(a) - static_cast<std::int64_t>(b); }

}  // namespace

void InfoText::Bytes(std::string_view name, std::uint64_t bytes) {
  Field(name, bytes);
  fmt::format_to(std::back_inserter(text_), "{}_human:{}\r\n", name, Human(bytes));
}

void InfoText::WriteMemory() {
  const MemoryUse use = ReadMemoryUse();
  const EngineStats engine = server_.engine_->Stats();
  const std::uint64_t used = use.used_bytes();
  const std::uint64_t peak = std::max(server_.peak_used_bytes_.load(), used);
  const std::uint64_t data_blocks = engine.block_cache_bytes - std::min(engine.block_cache_bytes, engine.block_cache_index_bytes + engine.block_cache_filter_bytes);
  const std::uint64_t dataset = std::min(used, engine.memtable_bytes + data_blocks + engine.row_cache_bytes);
  Bytes("used_memory", used);
  Bytes("used_memory_rss", use.resident_bytes);
  Bytes("used_memory_peak", peak);
  Field("used_memory_peak_perc", Percent(used, peak));
  Field("used_memory_overhead", used - dataset);
  Field("used_memory_startup", server_.startup_used_bytes_);
  Field("used_memory_dataset", dataset);
  Field("used_memory_dataset_perc", Percent(dataset, Less(used, server_.startup_used_bytes_)));
  Bytes("used_memory_rss_peak", use.peak_resident_bytes);
  Field("allocator_allocated", use.allocated_bytes);
  Field("allocator_active", use.active_bytes);
  Field("allocator_resident", use.allocator_resident_bytes);
  Bytes("total_system_memory", use.system_bytes);
  Bytes("maxmemory", 0);
  Field("maxmemory_policy", "noeviction");
  Field("allocator_frag_ratio", Ratio(use.active_bytes, use.allocated_bytes));
  Field("allocator_frag_bytes", Less(use.active_bytes, use.allocated_bytes));
  Field("allocator_rss_ratio", Ratio(use.allocator_resident_bytes, use.active_bytes));
  Field("allocator_rss_bytes", Less(use.allocator_resident_bytes, use.active_bytes));
  Field("rss_overhead_ratio", Ratio(use.resident_bytes, use.allocator_resident_bytes));
  Field("rss_overhead_bytes", Difference(use.resident_bytes, use.allocator_resident_bytes));
  Field("mem_fragmentation_ratio", Ratio(use.resident_bytes, used));
  Field("mem_fragmentation_bytes", Difference(use.resident_bytes, used));
  Field("mem_clients_normal", server_.client_memory_.bytes());
  Field("mem_allocator", use.allocator);
  WriteMemoryParts(use, engine);
}

void InfoText::WriteMemoryParts(const MemoryUse& use, const EngineStats& engine) {
  const MemoryPlan plan = server_.CurrentPlan();
  Bytes("memory_budget", plan.budget_bytes);
  Field("memory_budget_source", plan.budget_source);
  std::uint64_t parts = 0;
  const auto part = [&](std::string_view name, std::uint64_t bytes) {
    Field(name, bytes);
    parts += bytes;
  };
  part("mem_memtables", engine.memtable_bytes + engine.retired_memtable_bytes);
  Field("mem_memtables_held_by_readers", engine.retired_memtable_bytes);
  Field("mem_memtables_limit", plan.memtables_bytes);
  part("mem_block_cache", engine.block_cache_bytes);
  Field("mem_block_cache_indexes", engine.block_cache_index_bytes);
  Field("mem_block_cache_filters", engine.block_cache_filter_bytes);
  part("mem_row_cache", engine.row_cache_bytes);
  Field("mem_block_cache_limit", plan.block_cache_bytes);
  part("mem_open_tables", engine.open_sstable_bytes);
  Field("mem_open_tables_limit", plan.open_tables_bytes);
  part("mem_table_records", engine.table_record_bytes);
  part("mem_wal_buffers", engine.wal_buffer_bytes);
  part("mem_background", engine.background_bytes);
  Field("mem_background_limit", plan.background_bytes);
  part("mem_clients", server_.client_memory_.bytes());
  Field("mem_clients_limit", plan.clients_bytes);
  part("mem_other_heap", Less(use.used_bytes(), parts));
  part("mem_allocator_overhead", Less(use.resident_bytes - use.resident_file_bytes, use.used_bytes()));
  part("mem_code", use.resident_file_bytes);
  Field("mem_reserve_limit", plan.reserve_bytes);
  Field("mem_parts_sum", parts);
  Field("mem_unaccounted", Difference(use.resident_bytes, parts));
}

}  // namespace lsmkv
