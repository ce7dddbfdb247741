#!/bin/sh
# gpu-check.sh -- everything that only a GPU can tell, in stages of less than ten minutes each, and one report.
#
#   sh tools/gpu-check.sh [-o REPORT] [STAGE]...
#
#   build      with nvcc, for the card that is here, into build/gpu: no other library is needed
#   ops        every op, every mixture of types, against the CPU; and the same bits each time
#   bench      vqbench of every op of a step and of whole steps, at 256 and 512 pixels; our own products and convolutions beside
#              cuBLASLt's and cuDNN's
#   libraries  the same products computed by cuBLASLt and cuDNN, where they are: right, how fast in fp32, and a whole step by them
#   torch      whole steps beside PyTorch's, where PyTorch is installed
#   agree      the full-size step from the CPU's states, and 50 steps twice, all cutouts at once and 8 at a time, to the same bytes, in fp32 and bf16
#   sanitize   the ops under compute-sanitizer: memcheck, initcheck, synccheck, racecheck
#
# Without a stage, all of them, in this order: what is wanted most comes first, should time run out. The report (build/gpu/report.txt, or
# REPORT) is added to. Exit status 1 if anything is wrong, after everything has run; a stage that cannot run here says so, and nothing
# runs without a build. Where there is no git, $VQGEN_COMMIT is what the report calls the commit.
set -u

cd "$(dirname "$0")/.." || exit 2
report=build/gpu/report.txt
stages=
while [ $# -gt 0 ]; do
  case $1 in
  -o)
    [ $# -gt 1 ] || { echo "gpu-check.sh: -o wants a file" >&2; exit 2; }
    report=$2
    shift
    ;;
  build | ops | bench | libraries | torch | agree | sanitize) stages="$stages $1" ;;
  -h | --help)
    sed -n '2,19s/^# \{0,1\}//p' tools/gpu-check.sh
    exit 0
    ;;
  *)
    echo "gpu-check.sh: \"$1\" is none of -o REPORT, build, ops, bench, libraries, torch, agree, sanitize" >&2
    exit 2
    ;;
  esac
  shift
done
mkdir -p build/gpu "$(dirname "$report")"
wrong=

# Meson and ninja may be Python packages without a program on the path.
if command -v meson >/dev/null 2>&1; then meson=meson; else meson="python3 -m mesonbuild.mesonmain"; fi
# And the toolkit is often installed where no path leads.
if ! command -v nvcc >/dev/null 2>&1; then PATH=$PATH:/usr/local/cuda/bin; fi

tell() {
  printf '%s\n' "$*" | tee -a "$report"
}

# run NAME SECONDS COMMAND...: its output goes to the report, and its exit status is judged; 77 is a skip.
run() {
  name=$1
  limit=$2
  shift 2
  tell "-- $name: $*"
  started=$(date +%s)
  { timeout "$limit" "$@" 2>&1; echo $? >build/gpu/status; } | tail -n 200 | tee -a "$report"
  status=$(cat build/gpu/status)
  took=$(($(date +%s) - started))
  case $status in
  0) tell "== $name: passed in $took s" ;;
  77) tell "== $name: skipped" ;;
  124) tell "== $name: WRONG: not done after $limit s" ;;
  *) tell "== $name: WRONG: exit status $status after $took s" ;;
  esac
  case $status in 0 | 77) ;; *) wrong="$wrong $name" ;; esac
}

capability() {
  nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d ' .'
}

# What the other stages run.
programs="vqbench test-cuda-ops"

stage_build() {
  arch=$(capability)
  if [ ! -f build/gpu/build.ninja ]; then
    # shellcheck disable=SC2086 # several words
    run configure 90 $meson setup build/gpu -Dauto_features=disabled -Dgpu=enabled "-Dgpu_arch=${arch:-90}"
  fi
  # shellcheck disable=SC2086
  run compile 490 $meson compile -C build/gpu $programs vqgen-cuda
}

is_built() {
  case "$wrong " in *" configure "* | *" compile "*) return 1 ;; esac
  [ -x build/gpu/tools/vqbench ] && [ -x build/gpu/tests/test-cuda-ops ]
}

# Without a card that can be used there is nothing to skip: nothing is shown.
stage_ops() {
  run ops 590 build/gpu/tests/test-cuda-ops
  if [ "$status" = 77 ]; then
    tell "== ops: WRONG: no GPU can be used here, see above"
    wrong="$wrong ops"
  fi
}

stage_agree() {
  run agree-fp32 390 build/gpu/tools/vqbench agree --device cuda --precision fp32
  run agree-bf16 190 build/gpu/tools/vqbench agree --device cuda --precision bf16 -n 12
}

# Of the last three, the ops that have shared memory and hand work from thread to thread.
stage_sanitize() {
  sanitizer=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
  if [ ! -x "$sanitizer" ]; then
    tell "== sanitize: skipped: there is no compute-sanitizer"
    return
  fi
  run memcheck 300 "$sanitizer" --tool memcheck --error-exitcode 1 --leak-check full build/gpu/tests/test-cuda-ops
  for tool in initcheck synccheck racecheck; do
    run "$tool" 90 "$sanitizer" --tool "$tool" --error-exitcode 1 build/gpu/tests/test-cuda-ops linear conv norm_act \
      group_norm layer_norm attention resample nearest
  done
}

stage_bench() {
  for precision in bf16 fp32; do
    run "step-512-$precision" 60 build/gpu/tools/vqbench step --device cuda --precision $precision -s 512x512 -n 30
    run "step-256-$precision" 45 build/gpu/tools/vqbench step --device cuda --precision $precision -s 256x256 -n 30
  done
  run ops-512-bf16 170 build/gpu/tools/vqbench --device cuda --precision bf16 -s 512x512 --no-check
  run libraries-512-bf16 200 build/gpu/tools/vqbench --device cuda --precision bf16 -s 512x512 --no-check --compare libraries
}

# Where a library is not there, its column has no figures, and the ops say that they are skipped.
stage_libraries() {
  for by in cublaslt cudnn; do
    run "ops-by-$by" 60 build/gpu/tests/test-cuda-ops --by $by linear conv norm_act upsample soft_quantise
  done
  run libraries-512-fp32 240 build/gpu/tools/vqbench --device cuda --precision fp32 -s 512x512 --no-check --compare libraries
  for precision in bf16 fp32; do
    run "step-512-$precision-by-libraries" 60 build/gpu/tools/vqbench step --device cuda --precision $precision -s 512x512 -n 30 --products libraries
  done
}

stage_torch() {
  if ! python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    tell "== torch: skipped: there is no PyTorch that sees a GPU"
    return
  fi
  for precision in bf16 fp32; do
    run "torch-$precision" 280 python3 tests/compare/step_on_gpu.py --vqbench build/gpu/tools/vqbench --precision $precision
  done
}

tell "vqgen on a GPU: commit $(git rev-parse --short HEAD 2>/dev/null || echo "${VQGEN_COMMIT:-unknown}")"
tell "$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>&1 | head -n 1)"
tell "$(nvcc --version 2>&1 | tail -n 1)"
for stage in ${stages:-build ops bench libraries torch agree sanitize}; do
  tell "==== $stage"
  if [ "$stage" != build ] && ! is_built; then
    tell "== $stage: WRONG: there is no build of this tree: see the stage build"
    wrong="$wrong $stage"
    continue
  fi
  "stage_$stage"
done
if [ -n "$wrong" ]; then
  tell "WRONG:$wrong"
  exit 1
fi
tell "All that ran is right. The report is in $report"
