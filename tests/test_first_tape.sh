#!/bin/sh
# The first lesson, built as its head says: with the installed library, and by a C compiler alone.
# usage: test_first_tape.sh SOURCE_ROOT BUILD_ROOT CC [ARGUMENTS FOR CC]
set -eu
root=$1 build=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The command stands in the comment, between "cc" and "-lpthread": that one is run, not a copy.
sed -n 's/^ \*     //p' "$root/examples/first_tape.c" | sed -n '/^cc -std/,/-lpthread/p' | sed 's/\\$//' | tr -d '\n' >"$work/line"
line=$(sed "s/^cc //" "$work/line")
test -n "$line"
(cd "$root" && eval "$* $line -o $work/alone")
"$work/alone"

DESTDIR=$work/install meson install -C "$build" --no-rebuild --quiet
pc=$(find "$work/install" -name vqgen.pc)
libdir=$(dirname "$(dirname "$pc")")
PKG_CONFIG_PATH=$(dirname "$pc") PKG_CONFIG_SYSROOT_DIR=$work/install
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
flags=$(pkg-config --cflags --libs vqgen)
cp "$root/examples/first_tape.c" "$work"
# shellcheck disable=SC2086
(cd "$work" && "$@" -D_POSIX_C_SOURCE=200809L first_tape.c $flags -lm -o installed)
LD_LIBRARY_PATH=$libdir "$work/installed"

# The program in the header's comment, too: it must compile and make a picture.
sed -n 's/^ \*     //p' "$root/include/vqgen.h" | sed -n '/^#include <stdio.h>/,/^}/p' >"$work/circle.c"
grep -q 'int main' "$work/circle.c"
# shellcheck disable=SC2086
(cd "$work" && "$@" circle.c $flags -o circle && LD_LIBRARY_PATH=$libdir ./circle "$root/weights/vqgan.safetensors" \
  "$root/weights/clip.safetensors")
test -s "$work/circle.png"
