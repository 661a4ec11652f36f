#!/usr/bin/env bash
# Builds the release server and the offline tool: build/lsmkv-server, build/lsmkv-tool. Arguments go to `cmake --build` (such
# as --verbose or -j1).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
if ! cmake --preset release >"$log" 2>&1; then
  cat "$log" >&2
  echo "build: configuring failed; scripts/setup.sh installs what is needed" >&2
  exit 1
fi
cmake --build --preset release --target lsmkv-server lsmkv-tool "$@"
