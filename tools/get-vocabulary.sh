#!/bin/sh
# get-vocabulary.sh -- fetches CLIP's vocabulary, which published checkpoints come without.
#
#   sh tools/get-vocabulary.sh [FOLDER]
#
# Takes bpe_simple_vocab_16e6.txt.gz (1.3 MB) out of the Python package open_clip_torch, which carries OpenAI's file, by pip, without installing
# anything, checks its SHA-256 and puts it into FOLDER (the current one), where `vqgen convert` finds it beside a checkpoint.
set -eu

name=bpe_simple_vocab_16e6.txt.gz
hash=924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a
package=open_clip_torch==2.24.0

case ${1:-} in
-h | --help)
  sed -n '2,7s/^# \{0,1\}//p' "$0"
  exit 0
  ;;
-*)
  echo "get-vocabulary.sh: \"$1\" is no folder" >&2
  exit 2
  ;;
esac
folder=${1:-.}
if [ ! -d "$folder" ]; then
  echo "get-vocabulary.sh: there is no folder $folder" >&2
  exit 1
fi

hash_of() {
  if command -v sha256sum >/dev/null; then
    sha256sum "$1" | cut -d' ' -f1
  else
    shasum -a 256 "$1" | cut -d' ' -f1
  fi
}

if [ -f "$folder/$name" ] && [ "$(hash_of "$folder/$name")" = "$hash" ]; then
  echo "$folder/$name"
  exit 0
fi
if ! command -v python3 >/dev/null; then
  echo "get-vocabulary.sh: python3 is missing; install it, or take $name out of the Python package $package yourself" >&2
  exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "get-vocabulary.sh: pip downloads $package, about 1.5 MB; nothing is installed" >&2
if ! python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$work" "$package"; then
  echo "get-vocabulary.sh: pip could not download $package: is there a network, and pip (python3 -m pip)?" >&2
  exit 1
fi
python3 -m zipfile -e "$work"/open_clip_torch-*.whl "$work"
if [ "$(hash_of "$work/open_clip/$name")" != "$hash" ]; then
  echo "get-vocabulary.sh: the file's SHA-256 is not $hash: it is left out" >&2
  exit 1
fi
mv "$work/open_clip/$name" "$folder/$name"
echo "$folder/$name"
