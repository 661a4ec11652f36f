#!/usr/bin/env bash
# Tries to make lsmkv lose something, with new seeds all the time, for as many minutes as given (10 if not): the engine under the
# simulation of its threads, its model, crash, fault and clock tests, the WAL's, the real server killed in a loop, and its abuse, in turn. Prints every seed it begins with, and when something
# fails the one command that replays it; ends with 1 then.
#   scripts/torture.sh [MINUTES]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

minutes="${1:-10}"
if ! [[ "$minutes" =~ ^[0-9]+$ ]]; then
  echo "usage: scripts/torture.sh [MINUTES]" >&2
  exit 1
fi
log="$(mktemp)"
trap 'rm -f "$log"' EXIT

step() { echo "== $*" >&2; }

# Quietly, but for what goes wrong.
quietly() {
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
  fi
}

step "build"
scripts/build.sh
quietly cmake --preset test
quietly cmake --build --preset test --target engine_test simulation_test wal_test lsmkv_fault_shim

engine=build/test/tests/unit/engine/engine_test
simulation=build/test/tests/unit/simulation/simulation_test
export LSMKV_SERVER="$PWD/build/lsmkv-server"
export LSMKV_FAULT_SHIM="$PWD/build/test/tests/integration/liblsmkv_fault_shim.so"
deaths=0
seeds=0
simulated=0

# attempt SECONDS NAME COMMAND...: shows the command with its seeds, and all that it said if it fails.
attempt() {
  local most="$1"
  shift
  printf '   %s\n' "$(printf '%q ' "$@")" >&2
  if ! timeout --kill-after 10 "$most" env "$@" >"$log" 2>&1; then
    tail -n 100 "$log" >&2
    step "failed; to replay it:"
    echo "   cd $PWD && env LSMKV_SERVER=$LSMKV_SERVER LSMKV_FAULT_SHIM=$LSMKV_FAULT_SHIM $(printf '%q ' "$@")" >&2
    exit 1
  fi
}

end=$((SECONDS + 60 * minutes))
while ((SECONDS < end)); do
  seed="$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')"
  first=$((seed % 1000000000))
  step "seed $first; $(((end - SECONDS + 59) / 60)) minutes left"
  attempt 900 LSMKV_FIRST_SEED="$first" LSMKV_SEEDS=400 "$simulation" '[engine]'
  simulated=$((simulated + 400))
  ((SECONDS < end)) || break
  attempt 900 LSMKV_FIRST_SEED="$first" LSMKV_SEEDS=60 "$engine" '[model],[crash],[fault],[expiry],[space]'
  ((SECONDS < end)) || break
  attempt 900 LSMKV_SEED="$first" LSMKV_ROUNDS=20 /usr/bin/python3 -B tests/integration/torture_test.py
  ((SECONDS < end)) || break
  attempt 300 LSMKV_SEED="$first" LSMKV_P99_MS=1000 /usr/bin/python3 -B tests/integration/abuse_test.py
  attempt 300 LSMKV_SEED="$first" /usr/bin/python3 -B tests/integration/faults_test.py
  attempt 300 LSMKV_SEED="$first" /usr/bin/python3 -B tests/integration/disk_full_test.py
  deaths=$((deaths + 24))      # 20 by SIGKILL, 4 by SIGTERM
  seeds=$((seeds + 60))
done
step "nothing was lost: $simulated seeds of the simulation, $seeds seeds of the engine's tests, $deaths deaths of the server under load"
