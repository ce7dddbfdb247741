#!/bin/sh
# The house: which folder includes which, no circles among rooms, no long files, no paths of somebody's machine, and, where there is
# clang-format 14 (others lay out a few lines otherwise), the style that .clang-format tells.
# usage: test_house.sh SOURCE_ROOT
# Prints what is wrong, a line each. Afterwards it plants one wrong of each kind into a copy and sees that it is found.
set -eu
root=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
LC_ALL=C
export LC_ALL

# Who may include whom, besides its own folder. tests/ and examples/ may include anything.
allowed='
include   base
autograd  base
kernels   autograd base
nets      kernels autograd base
loaders   base
runtime   include nets kernels autograd loaders base
tools     include runtime nets kernels autograd loaders base
base
'
# Rooms that use another room, besides kernels/cpu and kernels/cuda.
rooms='
codebook       quantise
group_norm     activation
norm_act_conv  group_norm conv
upsample_conv  conv
'
folders='base autograd kernels nets loaders runtime include tools'
longest=700

# FILE INCLUDED, a line for each #include "..." in the folders of $1
list_includes() {
  # shellcheck disable=SC2086
  (cd "$1" && find $folders \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' \) -exec grep -HE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' {} +) |
    sed 's|^\([^:]*\):[^"]*"\([^"]*\)".*|\1 \2|'
}

# Arrows between folders, and between rooms, that are not in the lists above.
check_arrows() {
  awk -v root="$1" -v allowed="$allowed" -v rooms="$rooms" '
    function read_list(text, into,   line, n, i, j, m, word) {
      n = split(text, line, "\n")
      for (i = 1; i <= n; i++) {
        m = split(line[i], word, " ")
        for (j = 1; j <= m; j++)
          into[word[1], word[j]] = 1
      }
    }
    function there(path,   line) {
      if (!(path in seen)) {
        seen[path] = (getline line < path) >= 0
        close(path)
      }
      return seen[path]
    }
    BEGIN { read_list(allowed, may); read_list(rooms, may_room) }
    $1 ~ /^kernels\/[^\/]*\// && $2 == "kernels/ops.h" { print $1 ": a room must not include \"" $2 "\"" }
    {
      path = $2 == "vqgen.h" ? "include/vqgen.h" : $2
      split($1, from, "/")
      split(path, to, "/")
      if (!there(root "/" path)) {
        print $1 ": \"" $2 "\" is no path from the root of the tree"
        next
      }
      if (!((from[1], to[1]) in may))
        print $1 ": " from[1] "/ must not include \"" $2 "\""
      # A room is a folder in kernels/; what lies beside the rooms is ops.*, which knows them all, and check.*, which knows none.
      if (from[1] != "kernels" || to[1] != "kernels" || from[2] == to[2] || to[3] == "")
        next
      if (from[3] == "") {
        if (from[2] !~ /^ops\./)
          print $1 ": only kernels/ops.h knows the rooms, not \"" $2 "\""
      } else if (to[2] != "cpu" && to[2] != "cuda" && !((from[2], to[2]) in may_room))
        print $1 ": the room " from[2] " must not include \"" $2 "\""
    }
  ' "$work/includes"
}

# Circles, as tsort sees them: among folders, and among rooms.
check_circles() {
  awk '{ path = $2 == "vqgen.h" ? "include/vqgen.h" : $2; split($1, a, "/"); split(path, b, "/"); print a[1], b[1] }' \
    "$work/includes" | sort -u | tsort 2>&1 >/dev/null | sed 's/^tsort:/a circle among folders:/'
  awk '{ n = split($1, a, "/"); m = split($2, b, "/") }
    a[1] == "kernels" && b[1] == "kernels" && n == 3 && m == 3 { print a[2], b[2] }' \
    "$work/includes" | sort -u | tsort 2>&1 >/dev/null | sed 's/^tsort:/a circle among rooms:/'
}

sources() {
  (cd "$1" && find . \( -name .git -o -name data -o -name 'meson-*' -o -path './build*' \) -prune -o -type f \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' \
    -o -name '*.sh' -o -name '*.py' -o -name '*.md' -o -name meson.build -o -name meson_options.txt \) -print | sed 's|^\./||')
}

check_lengths() {
  grep -v '\.md$' "$work/sources" | (cd "$1" && xargs wc -l) |
    awk -v longest=$longest '$2 != "total" && $1 > longest { print $2 ": " $1 " lines, at most " longest " are allowed" }'
}

# Homes, temporary folders with a name in them.
check_words() {
  grep -v '^tests/test_house\.sh$' "$work/sources" | (cd "$1" &&
    xargs grep -nE '(^|[^[:alnum:]_./])/(home|root|Users|work|tmp|var/tmp)/|~/') | sed "s/^/a path of somebody's machine: /"
}

formats() {
  clang-format --version 2>/dev/null | grep -q 'version 14\.'
}

check_style() {
  if formats; then
    grep -E '\.(c|h|cu|cuh)$' "$work/sources" | (cd "$1" && xargs clang-format --dry-run -Werror 2>&1) | grep 'error:' | cut -d: -f1 |
      sort -u | sed 's/$/: not as .clang-format has it (clang-format -i does it)/'
  fi
}

check() {
  list_includes "$1" >"$work/includes"
  sources "$1" >"$work/sources"
  check_arrows "$1"
  check_circles
  check_lengths "$1"
  check_words "$1"
}

check "$root" >"$work/found"
check_style "$root" >>"$work/found"
if [ -s "$work/found" ]; then
  cat "$work/found"
  exit 1
fi

# plant FILE LINE EXPECTED: a copy of the tree with that line in that file must be refused with these words.
mkdir "$work/tree"
sources "$root" | (cd "$root" && tar cf - -T -) | (cd "$work/tree" && tar xf -)
plant() {
  had=no
  if [ -f "$work/tree/$1" ]; then
    had=yes
    cp "$work/tree/$1" "$work/before"
  fi
  printf '%s\n' "$2" >>"$work/tree/$1"
  if ! check "$work/tree" | grep -qF "$3"; then
    echo "planted in $1 and not found: $2"
    exit 1
  fi
  if [ $had = yes ]; then mv "$work/before" "$work/tree/$1"; else rm "$work/tree/$1"; fi
}

plant base/pool.c '#include "autograd/tensor.h"' 'base/ must not include'
plant autograd/tape.c '#include "kernels/ops.h"' 'autograd/ must not include'
plant kernels/linear/linear.c '#include "nets/clip.h"' 'kernels/ must not include'
plant nets/clip.c '  #  include "loaders/image.h"' 'nets/ must not include'
plant nets/vqgan.h '#include "runtime/engine.h"' 'a circle among folders'
plant loaders/png.c '#include "autograd/tensor.h"' 'loaders/ must not include'
plant include/vqgen.h '#include "runtime/engine.h"' 'include/ must not include'
plant kernels/linear/linear.c '#include "kernels/conv/conv.h"' 'the room linear must not include'
plant kernels/linear/linear.c '#include "kernels/ops.h"' 'a room must not include'
plant kernels/check.c '#include "kernels/conv/conv.h"' 'only kernels/ops.h knows the rooms'
plant kernels/conv/conv.h '#include "kernels/norm_act_conv/norm_act_conv.h"' 'a circle among rooms'
plant base/log.c '#include "status.h"' 'is no path from the root'
plant runtime/long.c "$(awk 'BEGIN { for (i = 0; i < 701; i++) print "/* */" }')" '701 lines'
plant tests/where.py 'open("/home/someone/x")' 'somebody'
plant docs.md 'see /home/somebody/notes' 'somebody'
cp "$root/.clang-format" "$work/tree"
printf 'int  planted(void) {return 1;}\n' >>"$work/tree/base/log.c"
if formats && [ "$(check_style "$work/tree" | cut -d: -f1)" != base/log.c ]; then
  echo "planted in base/log.c and not found: a function that is laid out otherwise"
  exit 1
fi
echo "the house is in order"
