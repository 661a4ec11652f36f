#!/usr/bin/env bash
# Measures. The first word says what:
#   scripts/bench.sh engine [--option value …]   the storage engine against RocksDB and LevelDB: builds build/lsmkv-bench and
#                                                runs it; the options are its own (scripts/bench.sh engine --help)
#   scripts/bench.sh server [--option value …]   the server against redis-server (and --peer NAME=COMMAND) with redis-benchmark: requests
#                                                a second and processor time a request, interleaved (scripts/bench.sh server --help)
#   scripts/bench.sh steady [--option value …]   the server at a share of its highest rate for minutes: the slowest request and the
#                                                worst second, while flushes and merges run (scripts/bench.sh steady --help)
# LSMKV_ROCKSDB_ROOT=DIR in the environment: measure against the RocksDB in DIR, an installation or a tree it was built in,
# instead of Debian's. LSMKV_SKIP_SETUP=1 installs nothing; engines that are not there are left out.
# Measure on a machine that does nothing else, on the disk in question (--dir).
set -euo pipefail
repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

die() {
  echo "bench: $*" >&2
  exit 1
}

help() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

# Everything that is built here goes to standard error: standard output is the table's.
build() {
  local root="${LSMKV_ROCKSDB_ROOT:-}" log
  [[ -z "$root" ]] || root="$(realpath -e -- "$root")" || die "LSMKV_ROCKSDB_ROOT: there is no $LSMKV_ROCKSDB_ROOT"
  log="$(mktemp)"
  if ! (cd "$repository" && cmake --preset release "-DLSMKV_ROCKSDB_ROOT=$root") >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    die "configuring failed; scripts/setup.sh bench installs what is needed"
  fi
  rm -f "$log"
  (cd "$repository" && cmake --build --preset "$1") >&2
}

engine() {
  "$repository/scripts/setup.sh" bench
  build bench
  # The data lies in build/ unless --dir, which comes later and so wins, says otherwise.
  exec "$repository/build/lsmkv-bench" --dir "$repository/build/bench.data" "$@"
}

# What scripts/bench_NAME.py measures, on the release server.
with_server() {
  "$repository/scripts/setup.sh" bench
  "$repository/scripts/build.sh" >&2
  exec "$repository/scripts/bench_$1.py" "${@:2}"
}

case "${1:-}" in
  engine) shift; engine "$@" ;;
  server | steady) with_server "$@" ;;
  '' | help | -h | --help) help ;;
  *) die "there is nothing called '$1' to measure; there are: engine, server, steady. See scripts/bench.sh --help" ;;
esac
