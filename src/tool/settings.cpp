#include "tool/settings.h"

#include "config/config.h"

namespace lsmkv::tool {

Result<Settings> ReadSettings(const Arguments& arguments) {
  if (!arguments.Has("config")) return DefaultSettings();
  CommandLine command_line;
  command_line.config_file = arguments.Text("config");
  const Result<std::unique_ptr<Config>> config = Config::Load(command_line);
  if (!config) return config.error();
  return *(*config)->Current();
}

}  // namespace lsmkv::tool
