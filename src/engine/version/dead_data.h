// How much of a table is known to be dead without reading it: its tombstones, and the entries whose deadline has passed.
//
// A manifest says how many entries expire, and when the first and the last do; in between they are taken to fall evenly. What a
// newer version elsewhere hides is not counted: nothing says so short of a merge.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/manifest/manifest.h"

namespace lsmkv {

/// The dead part of the entries at `now_ms`, 0 .. 1.
double DeadPart(const TableRecord& record, std::uint64_t now_ms);

/// When the dead part reached `ratio`, in ms since 1970 (a table is never dead before it was made); may lie ahead. nullopt: it
/// never will.
std::optional<std::uint64_t> DeadSince(const TableRecord& record, double ratio);

}  // namespace lsmkv
