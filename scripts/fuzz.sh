#!/usr/bin/env bash
# Builds the fuzzers of tests/fuzz with clang, replays what is kept in tests/fuzz/corpus, and looks for more.
#   scripts/fuzz.sh                       60 seconds for each target
#   scripts/fuzz.sh SECONDS               so many for each
#   scripts/fuzz.sh SECONDS TARGET...     of: resp inline config manifest wal sstable blob
# As many run at a time as there are processors; LSMKV_FUZZ_JOBS=N says otherwise. What the fuzzers learn stays in
# build/fuzz/corpus and serves the next run. An input that breaks a promise lies in build/fuzz/found, and the script fails:
# mend the fault, then keep the input as tests/fuzz/corpus/TARGET/<what it was>.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly all_targets=(resp inline config manifest wal sstable blob)
readonly work=build/fuzz
# The longest input tried: the shipped configuration file fits, and a table or segment of several blocks.
readonly most_bytes=4096
readonly most_config_bytes=16384

die() {
  echo "fuzz: $*" >&2
  exit 2
}

seconds="${1:-60}"
[[ "$seconds" =~ ^[1-9][0-9]*$ ]] || die "'$seconds' is not a number of seconds; usage: scripts/fuzz.sh [SECONDS [TARGET...]]"
[[ $# -gt 0 ]] && shift
targets=("$@")
[[ $# -gt 0 ]] || targets=("${all_targets[@]}")
for target in "${targets[@]}"; do
  [[ -f "tests/fuzz/${target}_fuzz.cpp" ]] || die "no target '$target'; there are: ${all_targets[*]}"
done

scripts/setup.sh build
scripts/setup.sh fuzz
mkdir -p "$work"
if ! cmake --preset fuzz >"$work/configure.txt" 2>&1; then
  cat "$work/configure.txt" >&2
  exit 1
fi
echo "== fuzz: build" >&2
cmake --build --preset fuzz

# One target for its time; its words go to a file, of which the end is shown when it has found something.
run() {
  local target="$1" bytes="$most_bytes"
  [[ "$target" == config ]] && bytes="$most_config_bytes"
  mkdir -p "$work/corpus/$target" "$work/found"
  if "$work/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -max_len="$bytes" -timeout=20 -rss_limit_mb=2048 \
    -artifact_prefix="$work/found/$target-" -print_final_stats=1 \
    "$work/corpus/$target" "tests/fuzz/corpus/$target" >"$work/$target.txt" 2>&1; then
    echo "fuzz: $target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$target.txt") runs in $seconds s, nothing found" >&2
  else
    tail -n 60 "$work/$target.txt" >&2
    echo "fuzz: $target: FOUND something; the input is in $work/found" >&2
    return 1
  fi
}

echo "== fuzz: $seconds s for each of: ${targets[*]}" >&2
jobs="${LSMKV_FUZZ_JOBS:-$(nproc)}"
rm -f "$work"/*.failed
for target in "${targets[@]}"; do
  while [[ "$(jobs -rp | wc -l)" -ge "$jobs" ]]; do wait -n || true; done
  { run "$target" || touch "$work/$target.failed"; } &
done
wait
compgen -G "$work/*.failed" >/dev/null && exit 1
echo "== fuzz: nothing found" >&2
