#include "engine/version/dead_data.h"

#include <algorithm>
#include <cmath>

namespace lsmkv {

double DeadPart(const TableRecord& record, std::uint64_t now_ms) {
  if (record.entries == 0) return 0;
  double dead = static_cast<double>(record.tombstones);
  if (record.expiring > 0 && record.expires_first_ms <= now_ms) {
    const double range = static_cast<double>(record.expires_last_ms - record.expires_first_ms) + 1;
    const double passed = static_cast<double>(now_ms - record.expires_first_ms) + 1;
    dead += static_cast<double>(record.expiring) * std::min(1.0, passed / range);
  }
  return std::min(1.0, dead / static_cast<double>(record.entries));
}

std::optional<std::uint64_t> DeadSince(const TableRecord& record, double ratio) {
  if (record.entries == 0) return std::nullopt;
  const double missing = ratio * static_cast<double>(record.entries) - static_cast<double>(record.tombstones);
  if (missing <= 0) return record.created_at_ms;
  if (static_cast<double>(record.expiring) < missing) return std::nullopt;
  const double part = missing / static_cast<double>(record.expiring);
  const double range = static_cast<double>(record.expires_last_ms - record.expires_first_ms);
  const std::uint64_t reached = record.expires_first_ms + static_cast<std::uint64_t>(std::ceil(part * range));
  return std::max(reached, record.created_at_ms);
}

}  // namespace lsmkv
