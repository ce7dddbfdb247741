#!/bin/sh
# quickstart.sh -- from a fresh checkout to a picture, with the networks in weights/.
#
#   sh tools/quickstart.sh [--no-install] ["a prompt"]
#
# Installs what is missing (it says what), builds in build/, makes a picture in the present folder and prints its path
# last. Can be run again: then it only makes the picture. --no-install only reports what is missing.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
no_install=
prompt=
for word in "$@"; do
  case $word in
  --no-install) no_install=--no-install ;;
  -h | --help)
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
  -*)
    echo "quickstart.sh: unknown option $word: build/tools/vqgen, once built, has many" >&2
    exit 2
    ;;
  *)
    if [ -n "$prompt" ]; then
      echo "quickstart.sh: several prompts: write one in quotes" >&2
      exit 2
    fi
    prompt=$word
    ;;
  esac
done

sh "$root/tools/setup.sh" $no_install build
if [ ! -f "$root/build/build.ninja" ]; then
  meson setup "$root/build" "$root" -Dtests=disabled >&2
fi
meson compile -C "$root/build" >&2
picture=$(VQGEN_MODELS="$root/weights" "$root/build/tools/vqgen" generate -- "${prompt:-a red circle on a blue background}")
echo "The picture is here:" >&2
echo "$(pwd)/$picture"
