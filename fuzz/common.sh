# Shared by the other scripts in this directory, which source it with this directory as the working directory.

ALL=(fuzz_targets/*.rs)
ALL=("${ALL[@]##*/}")
ALL=("${ALL[@]%.rs}")
TOOLCHAIN="${HOOKWARDEN_FUZZ_TOOLCHAIN:-nightly}"
HOST="$(rustc "+$TOOLCHAIN" -vV | sed -n 's/^host: //p')"

# Creates a missing corpus from corpus.tar.gz.
unpack() {
  if [ ! -e "$1" ]; then
    mkdir -p "$1"
    tar -xzf corpus.tar.gz -C "$1"
  fi
}
