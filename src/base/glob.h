// Redis's patterns: * any bytes, ? one byte, [abc] [a-c] [^abc] one of (or none of) these, \x the byte x itself.
// Work is bounded by pattern x text: of several stars only the last one seen is ever tried again, because what an earlier
// star could give the later one can take just as well. A class without its ] ends with the pattern.
#pragma once

#include <string_view>

namespace lsmkv {

bool GlobMatch(std::string_view pattern, std::string_view text, bool ignore_case = false);

/// True when the pattern has no special byte, that is, it matches exactly itself.
bool GlobIsLiteral(std::string_view pattern);

/// The bytes every match begins with, as far as the pattern shows them plainly (up to the first special byte).
std::string_view GlobPrefix(std::string_view pattern);

}  // namespace lsmkv
