#!/usr/bin/env bash
# From nothing to a running server: installs what is missing, builds, and serves on 127.0.0.1:6379 with data in ./data
# of this repository.
#   scripts/run.sh                                      with config/lsmkv.conf
#   scripts/run.sh --port 6380 --wal-fsync always       the same, and these directives win
#   scripts/run.sh config/presets/classic.conf          another configuration
# It becomes the server: Ctrl-C, or SIGTERM, ends it in an orderly way.
set -euo pipefail
repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

"$repository/scripts/setup.sh" build
"$repository/scripts/build.sh" >&2

config="$repository/config/lsmkv.conf"
if [[ $# -gt 0 && "$1" != -* ]]; then
  config="$(realpath -- "$1")"
  shift
fi
cd "$repository"
exec build/lsmkv-server "$config" "$@"
