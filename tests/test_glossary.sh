#!/bin/sh
# test_glossary.sh ROOT -- every place that docs/glossary.md names: the file is there, and the word is in it.
set -eu

check() {
  sed -n 's/^|.*| `\([^`]*\)` `\([^`]*\)` |$/\1 \2/p' "$1/docs/glossary.md" | {
    rows=0
    bad=0
    while read -r file word; do
      rows=$((rows + 1))
      if ! grep -qF -- "$word" "$1/$file" 2>/dev/null; then
        echo "docs/glossary.md: there is no $word in $file"
        bad=1
      fi
    done
    if [ "$rows" -lt 40 ]; then
      echo "docs/glossary.md: only $rows rows could be read"
      bad=1
    fi
    return $bad
  }
}

check "$1"

# The check itself: a word that is nowhere must be told.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/docs"
sed 's/`vq_backward`/`vq_nowhere`/' "$1/docs/glossary.md" >"$work/docs/glossary.md"
for part in autograd base kernels nets runtime tools; do
  ln -s "$1/$part" "$work/$part"
done
if told=$(check "$work") || [ "$told" != "docs/glossary.md: there is no vq_nowhere in autograd/tape.h" ]; then
  echo "a word that is nowhere was not told: $told"
  exit 1
fi
