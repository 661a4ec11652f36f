// How keys, values and times are shown to people: escaped, on one line, exact unless it says that something was cut.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lsmkv/options.h"
#include "lsmkv/write_batch.h"

namespace lsmkv::tool {

/// A Redis key as `db3 user:1` (3 is the physical database), any other engine key as `raw \x01name`; escaped as in manifests.
std::string KeyText(std::string_view engine_key);
/// At most `most_bytes` of it, escaped, in quotes; a string's value without its type byte.
std::string ValueText(std::string_view value, std::size_t most_bytes);
/// ISO-8601; "never" for 0.
std::string TimeText(std::uint64_t ms);
/// "put", "delete", …
std::string_view KindText(EntryKind kind);
/// One line, without its newline: sequence number, kind, key, value, deadline. A value in a blob file is shown by its place,
/// `blob 17 @ 4096 +10000 bytes`, and itself only if it is given.
std::string EntryText(const EntryView& entry, std::size_t most_value_bytes, std::optional<std::string_view> blob_value = std::nullopt);
/// "lz4".
std::string_view CompressionText(Compression compression);
/// "64.0 MiB".
std::string BytesText(std::uint64_t bytes);

}  // namespace lsmkv::tool
