#!/bin/sh
# setup.sh -- installs what vqgen is built with, and says before what that is.
#
#   sh tools/setup.sh [--no-install] [build | test]
#
# build is the default; test adds what the tests need. Packages that are there are left alone. --no-install only reports
# what is missing, and fails if something is. Made for Debian and Ubuntu; Fedora, Arch and macOS (Homebrew) are known
# by their packages' names.
set -eu

install=yes
what=build
for word in "$@"; do
  case $word in
  --no-install) install=no ;;
  build | test) what=$word ;;
  -h | --help)
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
  *)
    echo "setup.sh: \"$word\" is none of --no-install, build, test" >&2
    exit 2
    ;;
  esac
done

if command -v apt-get >/dev/null; then
  system=debian
elif command -v dnf >/dev/null; then
  system=fedora
elif command -v pacman >/dev/null; then
  system=arch
elif command -v brew >/dev/null; then
  system=macos
else
  system=unknown
fi

# set | what | how it is found | packages on Debian and Ubuntu | Fedora | Arch | macOS
# Arch has Criterion in its user repository only.
needs() {
  cat <<'TABLE'
build|a C compiler|command cc|gcc libc6-dev|gcc|gcc|gcc
build|meson|command meson|meson|meson|meson|meson
build|ninja|command ninja ninja-build|ninja-build|ninja-build|ninja|ninja
build|pkg-config|command pkg-config|pkg-config|pkgconf-pkg-config|pkgconf|pkgconf
build|jansson|library jansson jansson.h|libjansson-dev|jansson-devel|jansson|jansson
build|utf8proc|library libutf8proc utf8proc.h|libutf8proc-dev|utf8proc-devel|libutf8proc|utf8proc
build|zlib|library zlib zlib.h|zlib1g-dev|zlib-devel|zlib|zlib
build|libpng|library libpng png.h|libpng-dev|libpng-devel|libpng|libpng
build|libjpeg|library libjpeg jpeglib.h|libjpeg-dev|libjpeg-turbo-devel|libjpeg-turbo|jpeg-turbo
build|libwebp|library libwebp webp/decode.h|libwebp-dev|libwebp-devel|libwebp|webp
build|expat|library expat expat.h|libexpat1-dev|expat-devel|expat|expat
build|libyaml|library yaml-0.1 yaml.h|libyaml-dev|libyaml-devel|libyaml|libyaml
build|xxHash|library libxxhash xxhash.h|libxxhash-dev|xxhash-devel|xxhash|xxhash
test|Criterion|library criterion criterion/criterion.h|libcriterion-dev|criterion-devel|criterion|criterion
test|oneDNN|library dnnl dnnl.h|libdnnl-dev|onednn-devel|onednn|onednn
test|C++|command g++ c++|g++|gcc-c++|gcc|gcc
test|exiftool|command exiftool|libimage-exiftool-perl|perl-Image-ExifTool|perl-image-exiftool|exiftool
test|ffmpeg|command ffmpeg|ffmpeg|ffmpeg-free|ffmpeg|ffmpeg
TABLE
}

# found command NAME... | found library PKG-CONFIG-NAME HEADER
found() {
  kind=$1
  shift
  if [ "$kind" = command ]; then
    for name in "$@"; do
      if command -v "$name" >/dev/null; then
        return 0
      fi
    done
    return 1
  fi
  if pkg-config --exists "$1" 2>/dev/null; then
    return 0
  fi
  printf '#include <stddef.h>\n#include <stdio.h>\n#include <%s>\n' "$2" | cc -E -x c - >/dev/null 2>&1
}

# Sets `missing` (in words) and `packages` (names).
look() {
  missing=
  packages=
  while IFS='|' read -r set name probe debian fedora arch macos; do
    if [ "$set" = test ] && [ "$what" = build ]; then
      continue
    fi
    # shellcheck disable=SC2086 # the probe is several words
    if found $probe; then
      continue
    fi
    case $system in
    fedora) package=$fedora ;;
    arch) package=$arch ;;
    macos) package=$macos ;;
    *) package=$debian ;;
    esac
    missing="$missing${missing:+, }$name"
    packages="$packages $package"
  done <<TABLE
$(needs)
TABLE
}

look
if [ -z "$missing" ]; then
  exit 0
fi
echo "Missing: $missing" >&2
if [ "$system" = unknown ]; then
  echo "This system's package manager is not known here. On Debian the packages are:$packages" >&2
  exit 1
fi
if [ "$install" = no ]; then
  echo "Packages that have them:$packages" >&2
  exit 1
fi

as_root=
if [ "$system" != macos ] && [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "setup.sh: neither root nor sudo: have somebody install$packages" >&2
    exit 1
  fi
  as_root=sudo
fi
echo "Installing these packages and what they depend on:$packages" >&2
# shellcheck disable=SC2086 # $packages is a list, $as_root a word or none
case $system in
debian)
  $as_root apt-get update >&2 || echo "setup.sh: apt-get update failed; trying with what is known" >&2
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages >&2
  ;;
fedora) $as_root dnf install -y $packages >&2 ;;
arch) $as_root pacman -S --needed --noconfirm $packages >&2 ;;
macos) brew install $packages >&2 ;;
esac

look
if [ -n "$missing" ]; then
  echo "setup.sh: still missing: $missing" >&2
  exit 1
fi
