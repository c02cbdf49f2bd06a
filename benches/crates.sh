#!/usr/bin/env bash
# How many crates a build compiles, this one among them, and whether that is more than it may be: benches/crates.sh
set -euo pipefail
cd "$(dirname "$0")/.."

over=0

count() {
  local name=$1 most=$2 crates verdict=ok
  shift 2
  # What a crate needs to be built counts as well as what it is linked with; a crate in two versions is two.
  crates=$(cargo tree --locked --edges normal,build --prefix none --format '{p}' "$@" | sed 's/ (\*)$//' | sort -u | wc -l)
  if [ "$crates" -gt "$most" ]; then
    verdict=OVER
    over=1
  fi
  printf '%-24s %3d of at most %d  %s\n' "$name" "$crates" "$most" "$verdict"
}

count "core, without features" 25 --no-default-features
count "default" 25
count "warden" 55 --features warden

exit "$over"
