#!/usr/bin/env bash
# Builds and runs the tests; prints what a failed one said.
#   scripts/test.sh                 unit, model, crash, structure and integration tests, a few minutes
#   scripts/test.sh --full          also: the whole suite under AddressSanitizer + UBSan and under ThreadSanitizer,
#                                   clang's thread-safety analysis, ioredis, and the long forms of random tests
#   scripts/test.sh --threads       only what has threads, under ThreadSanitizer: the engine's, the server's, and the layers' between
#   scripts/test.sh [--full] -R NAME     arguments after these go to ctest
# The integration tests run against the release server, so it is built as well.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

full=no
threads=no
if [[ "${1:-}" == --full ]]; then
  full=yes
  shift
elif [[ "${1:-}" == --threads ]]; then
  threads=yes
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

# The programs whose tests start threads, and of the engine's those cases that are about them; --full runs all there is.
readonly threaded_programs=(server_test keyspace_test commands_keys_test wal_test version_test memtable_test sstable_test blob_test fs_test base_test)
readonly threaded_engine_cases='[threads],[rows],[reload],[large]~[crash],[scrub],[admission]'
quietly() {
  local log
  log="$(mktemp)"
  if ! timeout 900 "$@" >"$log" 2>&1; then
    tail -n 200 "$log" >&2
    echo "test: failed: $*; what it said is in $log" >&2
    exit 1
  fi
  rm -f "$log"
}
test_threads() {
  local program
  step "tsan: build what has threads"
  configure tsan
  cmake --build --preset tsan --target engine_test "${threaded_programs[@]}"
  step "tsan: test"
  quietly build/tsan/tests/unit/engine/engine_test "$threaded_engine_cases"
  for program in "${threaded_programs[@]}"; do
    quietly "build/tsan/tests/unit/${program%_test}/$program"
  done
}

if [[ "$threads" == yes ]]; then
  scripts/setup.sh test
  test_threads
  step "all passed"
  exit 0
fi

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
