# What the scripts beside this one share; they read it in with this folder as the working directory.

ALL=(fuzz_targets/*.rs)
ALL=("${ALL[@]##*/}")
ALL=("${ALL[@]%.rs}")
TOOLCHAIN="${HOOKWARDEN_FUZZ_TOOLCHAIN:-nightly}"
HOST="$(rustc "+$TOOLCHAIN" -vV | sed -n 's/^host: //p')"

# Where there is no corpus yet, it begins with what was kept.
unpack() {
  if [ ! -e "$1" ]; then
    mkdir -p "$1"
    tar -xzf corpus.tar.gz -C "$1"
  fi
}
