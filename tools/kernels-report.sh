#!/bin/sh
# kernels-report.sh -- what the CUDA kernels take of a multiprocessor, by nvcc's own account: a table in Markdown.
#
#   sh tools/kernels-report.sh [--all] [--arch "75 80 ..."] > docs/kernels.md
#
# A row for each instance of a kernel, a column for each compute capability: registers of a thread, bytes of shared memory of a block
# (without what a launch asks for), bytes spilled (stored + loaded). Of the hot kernels (products, attention, norms, activations), or
# --all. Fails if a hot kernel spills, or a file does not compile. Needs nvcc ($NVCC, which may be several words), and cu++filt or c++filt.
set -eu

cd "$(dirname "$0")/.."
nvcc=${NVCC:-nvcc}
archs='75 80 86 89 90 100 120'
all=
while [ $# -gt 0 ]; do
  case $1 in
  --all) all=--all ;;
  --arch)
    if [ $# -lt 2 ]; then
      echo 'kernels-report.sh: --arch: say which compute capabilities, such as "80 90"' >&2
      exit 2
    fi
    archs=$2
    shift
    ;;
  -h | --help)
    sed -n '2,8s/^# \{0,1\}//p' tools/kernels-report.sh
    exit 0
    ;;
  *)
    echo "kernels-report.sh: \"$1\" is none of --all, --arch" >&2
    exit 2
    ;;
  esac
  shift
done

filter=
for name in cu++filt c++filt; do
  if command -v "$name" >/dev/null; then
    filter=$name
    break
  fi
done
if [ -z "$filter" ]; then
  echo "kernels-report.sh: neither cu++filt (of the CUDA toolkit) nor c++filt (of binutils) is there" >&2
  exit 2
fi
# shellcheck disable=SC2086 # $nvcc may be several words
if ! version=$($nvcc --version | sed -n 's/.*release.*V/nvcc /p') || [ -z "$version" ]; then
  echo "kernels-report.sh: \"$nvcc\" does not run: say by NVCC=... where nvcc is" >&2
  exit 2
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

set -- kernels/activation/*.cu kernels/attention/*.cu kernels/cuda/product*.cu kernels/group_norm/*.cu kernels/layer_norm/*.cu \
  kernels/norm_act_conv/*.cu
hot=$*
if [ -n "$all" ]; then
  set -- kernels/*/*.cu
fi

for file in "$@"; do
  for arch in $archs; do
    # shellcheck disable=SC2086
    if ! $nvcc -std=c++17 -O3 "-arch=sm_$arch" --resource-usage -I. -cubin "$file" -o "$work/cubin" >"$work/said" 2>&1; then
      cat "$work/said" >&2
      echo "kernels-report.sh: $file does not compile for sm_$arch" >&2
      exit 2
    fi
    echo "file $file $arch"
    "$filter" <"$work/said"
  done
done >"$work/all"

echo '# What the CUDA kernels take'
echo
echo "By \`sh tools/kernels-report.sh${all:+ $all}\` with $version. For each compute capability: registers of a thread / bytes of shared memory"
echo 'of a block, without what a launch asks for; and where a kernel spills, how many bytes.'
echo
awk -v archs="$archs" -v hot="$hot" '
  BEGIN {
    count = split(archs, arch, " ")
    split(hot, list, " ")
    for (i in list)
      is_hot[list[i]] = 1
    head = "| kernel |"
    line = "|---|"
    for (i = 1; i <= count; i++) {
      head = head " " arch[i] " |"
      line = line "---|"
    }
  }
  function number(before, after) { # the last number of the line between the two
    if (!match($0, before "[0-9]+" after))
      return 0
    text = substr($0, RSTART, RLENGTH)
    gsub(/[^0-9]/, "", text)
    return text + 0
  }
  $1 == "file" { file = $2; at = $3; name = ""; next }
  /Compiling entry function/ {
    name = $0
    sub(/^[^\047]*\047/, "", name)
    sub(/\047 for \047[^\047]*\047$/, "", name)
    gsub(/\(anonymous namespace\)::/, "", name)
    sub(/^void /, "", name)
    if (!sub(/>\(.*$/, ">", name))
      sub(/\(.*$/, "", name)
    spills = 0
  }
  /bytes spill stores/ { spills = number("", " bytes spill stores") + number("", " bytes spill loads") }
  /Used [0-9]+ registers/ && name != "" {
    key = file " " name
    if (!(key in row)) {
      row[key] = ++rows
      file_of[rows] = file
      name_of[rows] = name
    }
    cell[row[key], at] = number("Used ", " registers") " / " number(" ", " bytes smem") (spills ? ", **spills " spills "**" : "")
    if (spills && is_hot[file]) {
      print "kernels-report.sh: " name " of " file " spills " spills " bytes on sm_" at > "/dev/stderr"
      bad = 1
    }
    name = ""
  }
  END {
    if (!rows) {
      print "kernels-report.sh: nvcc told of no kernel" > "/dev/stderr"
      exit 2
    }
    print head
    print line
    for (i = 1; i <= rows; i++) {
      if (file_of[i] != last)
        print "| **" substr(file_of[i], 9) "** |"
      last = file_of[i]
      text = "| `" name_of[i] "` |"
      for (j = 1; j <= count; j++)
        text = text " " ((i, arch[j]) in cell ? cell[i, arch[j]] : "none") " |"
      print text
    }
    exit bad
  }' "$work/all"
