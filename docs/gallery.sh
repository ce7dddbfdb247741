#!/bin/sh
# gallery.sh -- docs/gallery.png: 24 prompts, each made by vqgen with the networks in weights/ and their defaults, unpicked.
#
#   sh docs/gallery.sh VQGEN [OUT.png]
#
# VQGEN is the tool. Row by row, four in each. Every picture's command is: vqgen "PROMPT" --seed 1. Needs ffmpeg, which puts the
# pictures together.
set -eu

vqgen=$1
out=${2:-docs/gallery.png}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0
while read -r prompt; do
  "$vqgen" "$prompt" --seed 1 --metadata none --progress none -o "$work/$(printf %02d $number).png" >/dev/null </dev/null
  number=$((number + 1))
done <<'END'
a red circle on a blue background
a yellow circle on a black background
a white heart on a pink background
a green square on a yellow background
a large orange circle on a purple background
a black star on a white background
a blue ring at the top of an orange background
a red circle above a yellow square on a blue background
a yellow circle inside a blue square on a white background
a red square below a white circle on a green background
nine red circles on a white background
a smiling yellow face on a blue background
black and white stripes
a red and white checkerboard
an orange to purple gradient background
the sun over the sea
a sunset over the ocean
the moon and stars over snowy mountains at night
a house with a red roof on green hills
a green tree on green hills under a blue sky
a boat with a red sail on the sea
the desert on a sunny day
a snowy field at night
a city skyline at sunset
END
ffmpeg -v error -y -i "$work/%02d.png" -vf "scale=iw*3:ih*3:flags=neighbor,tile=4x6:padding=4" -frames:v 1 "$out"
