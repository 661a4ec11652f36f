// The arrows between the folders of src/ (src/README.md), as a table, and the check that every #include follows one.
// The linker sees only what has a .cpp; this sees header-only includes as well.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lsmkv::structure {

/// The folder a file belongs to: "server", "engine", "engine/wal", "lsmkv" for include/lsmkv/, "main" for src/main.cpp.
/// `path` is relative to the repository. nullopt: no such folder in the plan.
std::optional<std::string> LayerOfFile(std::string_view path);
/// The same for what stands in an #include; "boost" for Boost, nullopt for the standard library and other libraries.
std::optional<std::string> LayerOfInclude(std::string_view included, std::string_view includer);

/// What is wrong in one file's text, a line for each #include that draws an arrow that is not in the plan.
std::vector<std::string> WrongArrows(std::string_view path, std::string_view text);
/// The same for every .h and .cpp below src/ and include/ of `repository`; `*files` counts them.
std::vector<std::string> WrongArrowsIn(const std::filesystem::path& repository, std::size_t* files);

}  // namespace lsmkv::structure
