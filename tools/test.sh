#!/bin/sh
# test.sh -- builds vqgen three times and runs the tests: all of them as it ships, those of the float engine with
# AddressSanitizer and UndefinedBehaviorSanitizer, and those that use threads with ThreadSanitizer.
#
#   sh tools/test.sh [--no-install] [release] [asan] [tsan]
#
# Installs what is missing first (it says what); --no-install only reports it. Builds lie in build/release, build/asan
# and build/tsan, and are used again. Fails if anything fails, after everything has run.
set -eu

cd "$(dirname "$0")/.."
no_install=
builds=
for word in "$@"; do
  case $word in
  --no-install) no_install=--no-install ;;
  release | asan | tsan) builds="$builds $word" ;;
  -h | --help)
    sed -n '2,8s/^# \{0,1\}//p' tools/test.sh
    exit 0
    ;;
  *)
    echo "test.sh: \"$word\" is none of --no-install, release, asan, tsan" >&2
    exit 2
    ;;
  esac
done

# Sanitizers do not see into oneDNN, which vqbench compares with: they go without. Criterion's runner wants
# memory where ThreadSanitizer keeps its own: there, the tests that are plain programs run (tests/test_races.c).
options() {
  case $1 in
  release) echo "-Dwerror=true -Dtests=enabled -Dgpu_arch=80" ;;
  asan) echo "-Dwerror=true -Dtests=enabled -Dbuildtype=debugoptimized -Donednn=disabled -Db_lundef=false -Db_sanitize=address,undefined" ;;
  tsan) echo "-Dwerror=true -Dtests=disabled -Dbuildtype=debugoptimized -Donednn=disabled -Db_lundef=false -Db_sanitize=thread" ;;
  esac
}

# ThreadSanitizer of older compilers cannot start where the kernel spreads addresses widely.
wrapper() {
  if [ "$1" = tsan ] && setarch "$(uname -m)" -R true 2>/dev/null; then
    echo "setarch $(uname -m) -R"
  fi
}

# Each test's own output is shown, with Criterion's closing lines.
run() {
  rm -f "build/$1/passed" "build/$1/output.txt"
  if [ ! -f "build/$1/build.ninja" ]; then
    # shellcheck disable=SC2046 # several options
    meson setup "build/$1" $(options "$1") || return 1
  fi
  meson compile -C "build/$1" || return 1
  # shellcheck disable=SC2046 # several words or none
  { $(wrapper "$1") meson test -C "build/$1" --no-rebuild --verbose && touch "build/$1/passed"; } 2>&1 |
    tee "build/$1/output.txt"
  # Criterion lets a test pass that leaked: its own process is not the one that is asked.
  if grep -q 'ERROR: LeakSanitizer' "build/$1/output.txt"; then
    rm -f "build/$1/passed"
  fi
  test -f "build/$1/passed"
}

export ASAN_OPTIONS="${ASAN_OPTIONS:-abort_on_error=0}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}"

sh tools/setup.sh $no_install test
failed=
for build in ${builds:-release asan tsan}; do
  echo "== $build"
  run "$build" || failed="$failed $build"
done
if [ -n "$failed" ]; then
  for build in $failed; do
    if [ ! -f "build/$build/output.txt" ]; then
      echo "== $build: it could not be built, see above"
      continue
    fi
    echo "== $build: what failed (all of it: build/$build/output.txt)"
    grep -nE '^ *[0-9]+/[0-9]+ .* (FAIL|TIMEOUT|ERROR) |^\[FAIL\]|^\[----\] .*(Assert|Expect)' "build/$build/output.txt" || true
    grep -A8 'ERROR: LeakSanitizer' "build/$build/output.txt" || true
  done
  echo "FAILED:$failed"
  exit 1
fi
echo "All passed:${builds:- release asan tsan}"
