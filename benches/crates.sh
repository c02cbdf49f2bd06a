#!/usr/bin/env bash
# Counts the crates that a build compiles, including this one, and fails if a limit is exceeded: benches/crates.sh
set -euo pipefail
cd "$(dirname "$0")/.."

over=0

count() {
  local name=$1 most=$2 crates verdict=ok
  shift 2
  # Build dependencies count too. A crate in two versions counts twice.
  crates=$(cargo tree --locked --edges normal,build --prefix none --format '{p}' "$@" | sed 's/ (\*)$//' | sort -u | wc -l)
  if [ "$crates" -gt "$most" ]; then
    verdict=OVER
    over=1
  fi
  printf '%-24s %3d of at most %d  %s\n' "$name" "$crates" "$most" "$verdict"
}

count "core, without features" 25 --no-default-features
count "default" 25
count "ed25519" 37 --features ed25519
count "ecdsa" 46 --features ecdsa
count "rsa" 40 --features rsa
count "message-signatures" 29 --features message-signatures
count "providers" 34 --features providers
count "warden" 59 --features warden
count "hookwarden-jwks" 92 -p hookwarden-jwks

exit "$over"
