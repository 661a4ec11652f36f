// lsmkv_generate (--registry | --table) OUT FILE...
// OUT is written only when its content changes, so that nothing is rebuilt for a reformatted file. "-" is the standard output.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "proto/model.h"

namespace {

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

bool WriteIfChanged(const std::filesystem::path& path, const std::string& text) {
  if (path == "-") return static_cast<bool>(std::cout << text);
  std::error_code error;
  if (std::filesystem::exists(path, error) && ReadAll(path) == text) {
    std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now(), error);
    return !error;
  }
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  std::ofstream out(path, std::ios::binary);
  out << text;
  return static_cast<bool>(out.flush());
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (argc < 4 || (mode != "--registry" && mode != "--table")) {
    std::fprintf(stderr, "usage: %s (--registry | --table) OUT FILE...\n", argv[0]);
    return 2;
  }
  const lsmkv::proto::Catalogue catalogue = lsmkv::proto::ReadCatalogue({argv + 3, argv + argc});
  for (const std::string& error : catalogue.errors) std::fprintf(stderr, "%s\n", error.c_str());
  if (!catalogue.errors.empty()) return 1;
  const std::string text = mode == "--registry" ? EmitRegistry(catalogue.commands) : EmitTable(catalogue.commands);
  if (!WriteIfChanged(argv[2], text)) {
    std::fprintf(stderr, "%s: cannot be written\n", argv[2]);
    return 1;
  }
  return 0;
}
