#!/bin/sh
# The CPU's kernels on a processor that is not here: compiles them for aarch64, looks that products use NEON's multiply-adds, and runs every
# row of the tests' table emulated, on one thread and on four, to the same bytes.
# usage: tools/neon-check.sh      needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user (Debian's names)
set -eu
cd "$(dirname "$0")/.."
for needed in aarch64-linux-gnu-gcc aarch64-linux-gnu-objdump qemu-aarch64; do
  command -v $needed >/dev/null || { echo "there is no $needed: install gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# As meson.build compiles them, without nvcc, and without the double build's products.
for file in base/*.c autograd/*.c kernels/*.c kernels/*/*.c tests/cases*.c tests/test_races.c; do
  case $file in kernels/cuda/* | kernels/cpu/gemm_plain.c) continue ;; esac
  aarch64-linux-gnu-gcc -std=c11 -O3 -Wall -Wextra -Wno-missing-field-initializers -Wno-unused-parameter -Werror -fno-trapping-math \
    -fno-math-errno -ffp-contract=fast -D_POSIX_C_SOURCE=200809L -I. -Iinclude -Itests -c "$file" -o "$work/$(echo "$file" | tr / _).o"
done
products=$(aarch64-linux-gnu-objdump -d "$work/kernels_cpu_panels.c.o" | grep -cw fmla || true)
echo "$products vector multiply-adds in the innermost loops of products"
test "$products" -gt 0
aarch64-linux-gnu-gcc -static "$work"/*.o -lm -lpthread -o "$work/races"
qemu-aarch64 "$work/races"
