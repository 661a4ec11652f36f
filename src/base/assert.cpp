#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace lsmkv {

void AssertionFailed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "lsmkv: assertion failed: %s (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace lsmkv
