#!/usr/bin/env bash
# Installs what is missing of Debian 12's packages; says nothing and does nothing when all is there.
#   scripts/setup.sh [build|test|full|fuzz|bench]   for: the server (default); its tests; their long forms; fuzzers; measuring
# LSMKV_SKIP_SETUP=1 leaves the system alone, for machines that are prepared in another way.
set -euo pipefail

readonly build_packages=(
  g++ cmake ninja-build ccache mold pkg-config
  libboost1.81-dev libspdlog-dev libfmt-dev nlohmann-json3-dev libxxhash-dev liblz4-dev libzstd-dev libjemalloc-dev)
readonly test_packages=(catch2 redis-tools python3 python3-redis)
readonly full_packages=(clang-19)
readonly fuzz_packages=(clang-19 libclang-rt-19-dev)
readonly bench_packages=(librocksdb-dev libleveldb-dev redis-tools python3)

die() {
  echo "setup: $*" >&2
  exit 1
}

is_installed() { [[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]; }

wanted=("${build_packages[@]}")
case "${1:-build}" in
  build) ;;
  test) wanted+=("${test_packages[@]}") ;;
  full) wanted+=("${test_packages[@]}" "${full_packages[@]}") ;;
  fuzz) wanted+=("${fuzz_packages[@]}") ;;
  bench) wanted+=("${bench_packages[@]}") ;;
  *) die "unknown purpose '$1'; it is one of: build, test, full, fuzz, bench" ;;
esac

[[ "${LSMKV_SKIP_SETUP:-}" == 1 ]] && exit 0

# shellcheck source=/dev/null
system="$([[ ! -r /etc/os-release ]] || { . /etc/os-release; echo "${ID:-} ${VERSION_ID:-}"; })"
if [[ "$system" != "debian 12" ]]; then
  die "this is ${system:-an unknown system}, and only Debian 12 (bookworm) is known here. Install what corresponds to:
  ${wanted[*]}
and run again with LSMKV_SKIP_SETUP=1, or use the Dockerfile."
fi

missing=()
for package in "${wanted[@]}"; do
  is_installed "$package" || missing+=("$package")
done
# Node.js may have come in another package than Debian's.
if [[ "${1:-build}" == full ]]; then
  command -v node >/dev/null || missing+=(nodejs)
  command -v npm >/dev/null || missing+=(npm)
fi
[[ ${#missing[@]} -eq 0 ]] && exit 0

as_root=()
if [[ "$(id -u)" -ne 0 ]]; then
  command -v sudo >/dev/null || die "missing: ${missing[*]}
Run as root: apt-get install --no-install-recommends ${missing[*]}"
  as_root=(sudo)
fi

echo "setup: installing ${missing[*]}" >&2
"${as_root[@]}" apt-get update -q >&2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
