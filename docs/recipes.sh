#!/bin/sh
# recipes.sh -- the sheet docs/recipes.png: a row for each recipe, a column for each prompt, with the networks in weights/.
#
#   sh docs/recipes.sh VQGEN [OUT.png]
#
# VQGEN is the tool. Needs ffmpeg, which puts the pictures together. About fifteen minutes on two cores.
set -eu

vqgen=$1
out=${2:-docs/recipes.png}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0
for recipe in own notebook crowson nerdyrodent mse codebook; do
  for prompt in "a red circle on a blue background" "a yellow star on a black background" \
    "sunset over the ocean" "a green tree on a hill"; do
    # From gray: the published start, random tokens, is for a VQGAN that was trained on photographs (weights/README.md).
    start=gray
    [ "$recipe" != codebook ] || start=random # logits have no other
    "$vqgen" "$prompt" --recipe "$recipe" --init $start -s 64x64 -n 150 --seed 3 --metadata none --progress none \
      -o "$work/$(printf %02d $number).png" >/dev/null
    number=$((number + 1))
  done
done
ffmpeg -v error -y -i "$work/%02d.png" -vf "scale=iw*3:ih*3:flags=neighbor,tile=4x6:padding=4" -frames:v 1 "$out"
