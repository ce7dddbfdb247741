#!/bin/sh
# train.sh -- the pair from nothing: the world, the VQGAN, the CLIP, and two judges; and what they can do.
#
#   sh weights/train/train.sh FOLDER [--device cuda] [--minutes N] [--scale X] [--seed N] [--threads N] [--eager] [--float32]
#
# FOLDER holds all that is made. The command goes on from what is there, so that after any interruption it is given again;
# with --minutes it stops by itself after about so long and exits with status 3 until all is done. Between such pieces the one
# FOLDER/*.state that there is, of at most 16 MiB, the empty *.done and the *.safetensors that are finished have to be kept; the world is
# drawn again from its seed. --scale 10 trains ten times as long. A CLIP's networks are compiled at the start of a piece, which takes a
# minute or two where it was not done before; --eager goes without, for short pieces. --float32 is quicker on an Intel processor without AMX. Needs Python with PyTorch 2.9 or later, numpy, safetensors and Pillow.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=${1:?usage: train.sh FOLDER [--device cuda] [--minutes N] [--scale X] [--seed N] [--threads N] [--eager] [--float32]}
shift
device=cpu minutes=1000000 scale=1 seed=0 threads=1 eager= float32=
while [ $# -gt 0 ]; do
  case $1 in
  --eager)
    eager=--eager
    shift
    continue
    ;;
  --float32)
    float32=--float32
    shift
    continue
    ;;
  --device) device=$2 ;;
  --minutes) minutes=$2 ;;
  --scale) scale=$2 ;;
  --seed) seed=$2 ;;
  --threads) threads=$2 ;;
  *)
    echo "train.sh: unknown option $1" >&2
    exit 2
    ;;
  esac
  shift 2
done

ends=$(awk "BEGIN { print $(date +%s) + 60 * $minutes }")
steps() { awk "BEGIN { print int($1 * $scale) }"; }

# piece STATE PROGRAM OPTIONS...: one training, unless it is done; its state goes when it is.
piece() {
  state=$1
  shift
  [ -f "$state.done" ] && return
  left=$(awk "BEGIN { print ($ends - $(date +%s)) / 60 }")
  python3 "$@" --data "$folder" --state "$state" --minutes "$left" --device "$device" --threads "$threads" $float32 || exit $?
  : >"$state.done"
  rm -f "$state"
}

mkdir -p "$folder"
python3 "$here/make_world.py" "$folder/train" --count 40000 --seed 1
python3 "$here/make_world.py" "$folder/held-out" --count 2000 --seed 2
piece "$folder/vqgan.state" "$here/train_vqgan.py" --seed "$seed" --steps "$(steps 12500)" --out "$folder/vqgan.safetensors"
# clip NAME OPTIONS...: to --out NAME.safetensors
clip() {
  name=$1
  shift
  piece "$folder/$name.state" "$here/train_clip.py" --vqgan "$folder/vqgan.safetensors" --out "$folder/$name.safetensors" $eager "$@"
}
clip clip-48 --seed "$seed" --steps "$(steps 5000)" --lead-from "$(steps 500)"
clip clip --seed $((seed + 1)) --steps "$(steps 3200)" --begin "$folder/clip-48.safetensors" --side 64 --layers 6 5 --lr 6e-4
for judge in 1 2; do
  clip judge-$judge --seed $((seed + 100 * judge)) --steps "$(steps 4000)" --lead-from "$(steps 500)"
done
python3 "$here/measure_vqgan.py" "$folder/vqgan.safetensors" --data "$folder" --device "$device" --threads "$threads"
echo "What it draws: VQGEN_MODELS=$folder tools/check-pictures --keep $folder/pictures --sheet $folder/sheet.png"
echo "What judges say of that: python3 weights/train/judge.py $folder/pictures --data $folder --judge $folder/judge-?.safetensors"
