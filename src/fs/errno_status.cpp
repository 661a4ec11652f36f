#include "fs/errno_status.h"

#include <cerrno>
#include <system_error>
#include <utility>

namespace lsmkv {

Status ErrnoStatus(const std::string& path, std::string_view operation, int error) {
  std::string message = path;
  message.append(": ").append(operation).append(": ").append(std::generic_category().message(error));
  switch (error) {
    case ENOSPC:
    case EDQUOT: return Status::NoSpace(std::move(message));
    case ENOENT: return Status::NotFound(std::move(message));
    default: return Status::IoError(std::move(message));
  }
}

}  // namespace lsmkv
