#!/usr/bin/env bash
# Builds and runs the tests; prints what a failed one said.
#   scripts/test.sh                 unit, model, crash, structure and integration tests, a few minutes
#   scripts/test.sh --full          also: the whole suite under AddressSanitizer + UBSan and under ThreadSanitizer,
#                                   clang's thread-safety analysis, ioredis, and the long forms of random tests
#   scripts/test.sh [--full] -R NAME     arguments after these go to ctest
# The integration tests run against the release server, so it is built as well.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

full=no
if [[ "${1:-}" == --full ]]; then
  full=yes
  shift
fi
jobs="$(nproc)"
export LSMKV_SERVER="$PWD/build/lsmkv-server"

step() { echo "== $*" >&2; }

configure() {
  local log
  log="$(mktemp)"
  if ! cmake --preset "$1" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    exit 1
  fi
  rm -f "$log"
}

build_and_test() {
  local preset="$1"
  shift
  step "$preset: build"
  configure "$preset"
  cmake --build --preset "$preset"
  step "$preset: test"
  ctest --preset "$preset" -j "$jobs" "$@"
}

if [[ "$full" == yes ]]; then
  scripts/setup.sh full
  export LSMKV_LONG_TESTS=1
  step "ioredis: install"
  npm install --prefix build/ioredis --no-save --no-audit --no-fund --silent ioredis@5
  export LSMKV_IOREDIS="$PWD/build/ioredis"
else
  scripts/setup.sh test
fi

step "release: build"
scripts/build.sh
build_and_test test "$@"

if [[ "$full" == yes ]]; then
  step "clang: thread-safety analysis"
  configure clang
  cmake --build --preset clang
  # The sanitized servers themselves serve the integration tests.
  unset LSMKV_SERVER LSMKV_LONG_TESTS
  build_and_test asan "$@"
  build_and_test tsan "$@"
fi
step "all passed"
