#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Packs what build/release made into a container image, build/image/postern.tar, without a daemon or a registry:
# the archive that `docker save` would write, for `ctr images import`, `docker load` and `podman load`.
#
# In it: our programs, the libraries they link with their licences, the allowlists, the seccomp profiles and two
# users. No shell: `kubectl exec` calls the programs themselves. Two layers, since libraries change less often.
# The same input gives the same bytes: sorted, one time (SOURCE_DATE_EPOCH, default 0), root's, no names of users.
# `--root DIR` stops before packing and leaves the files in DIR; the Dockerfile uses it.
set -euo pipefail
cd "$(dirname "$0")/.."

PROGRAMS=(posternd postern-setup postern-dns postern-observer postern)
bin=build/release/bin
out=build/image
tag=postern:dev
root=

die() {
  echo "dev image: $*" >&2
  exit 1
}

while [ $# -gt 0 ]; do
  case "$1" in
    --bin | --out | --tag | --root)
      [ $# -ge 2 ] || die "$1 takes a value"
      declare "${1#--}=$2"
      shift 2
      ;;
    *) die "there is no option \"$1\": --bin DIR, --out DIR, --tag NAME:TAG, --root DIR" ;;
  esac
done
for program in "${PROGRAMS[@]}"; do
  [ -x "$bin/$program" ] || die "there is no $bin/$program: run ./dev build first"
done
case "$(uname -m)" in
  x86_64) architecture=amd64 ;;
  aarch64) architecture=arm64 ;;
  *) die "this machine is a $(uname -m); images are made for x86_64 and aarch64" ;;
esac
epoch=${SOURCE_DATE_EPOCH:-0}
umask 022

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/libs" "$work/programs"

# What a program needs besides itself: each library under the name it is loaded by, and the loader.
libraries() {
  local program missing
  for program in "${PROGRAMS[@]}"; do
    missing=$(ldd "$bin/$program" | awk '/not found/ {print $1}')
    [ -z "$missing" ] || die "$program links $missing, which this machine lacks"
    ldd "$bin/$program" | awk '$2 == "=>" && $3 ~ /^\// {print $3} $1 ~ /^\// {print $1}'
  done | sort -u
}

# Each library with its package's own statement of who wrote it and under which terms.
mapfile -t libraries < <(libraries)
declare -A package_of
while IFS=$'\t' read -r package path; do
  package_of[$path]=$package
done < <(dpkg -S "${libraries[@]}" "${libraries[@]/#/\/usr}" 2> /dev/null | sed -n 's/^\([^:, ]*\)[^ ]*: /\1\t/p')
for library in "${libraries[@]}"; do
  package=${package_of[$library]:-${package_of[/usr$library]:-}}
  [ -n "$package" ] || die "no package owns $library, so its licence is not known: install it from Debian"
  install -D -m 755 "$library" "$work/libs$library"
  licence=/usr/share/doc/$package/copyright
  if [ -e "$licence" ]; then
    install -D -m 644 "$licence" "$work/libs$licence"
  else
    echo "dev image: $licence is missing here, and so it is in the image" >&2
  fi
done

for program in "${PROGRAMS[@]}"; do
  install -D -m 755 -s "$bin/$program" "$work/programs/usr/bin/$program"
done
install -D -m 644 -t "$work/programs/usr/share/postern/allowlists" allowlists/*.yaml
install -D -m 644 -t "$work/programs/usr/share/postern/seccomp" manifests/seccomp/*.json
install -D -m 644 LICENSE "$work/programs/usr/share/doc/postern/copyright"
mkdir -p "$work/programs/etc"
# Numbers that no distribution gives to its own users: folders on the node belong to them.
printf '%s\n' 'root:x:0:0:root:/:/' 'postern-dns:x:65053:65053::/:/' 'postern-observer:x:65054:65054::/:/' \
  'nobody:x:65534:65534:nobody:/:/' > "$work/programs/etc/passwd"
printf '%s\n' 'root:x:0:' 'postern-dns:x:65053:' 'postern-observer:x:65054:' 'nogroup:x:65534:' > "$work/programs/etc/group"
chmod 644 "$work/programs/etc/passwd" "$work/programs/etc/group"

if [ -n "$root" ]; then
  mkdir -p "$root"
  cp -a "$work/libs/." "$work/programs/." "$root/"
  exit 0
fi

pack() { # FILE FOLDER: the same bytes for the same files
  tar --create --file "$1" --directory "$2" --format=ustar --sort=name --mtime="@$epoch" --owner=0 --group=0 \
    --numeric-owner --mode=go-w .
}
sum() { sha256sum "$1" | cut -d' ' -f1; }

mkdir -p "$work/image"
layers=()
for part in libs programs; do
  pack "$work/$part.tar" "$work/$part"
  digest=$(sum "$work/$part.tar")
  mv "$work/$part.tar" "$work/image/$digest.tar"
  layers+=("$digest")
done
version=$("$bin/posternd" --version | cut -d' ' -f2)
created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)
cat > "$work/config.json" << END
{"architecture":"$architecture","os":"linux","created":"$created",
"config":{"Env":["PATH=/usr/bin"],"WorkingDir":"/","Cmd":["/usr/bin/posternd"],"Labels":{
"org.opencontainers.image.title":"postern","org.opencontainers.image.version":"$version",
"org.opencontainers.image.licenses":"Apache-2.0 AND (GPL-2.0-only OR BSD-2-Clause)"}},
"rootfs":{"type":"layers","diff_ids":["sha256:${layers[0]}","sha256:${layers[1]}"]},
"history":[{"created":"$created","comment":"libraries"},{"created":"$created","comment":"postern"}]}
END
config=$(sum "$work/config.json")
mv "$work/config.json" "$work/image/$config.json"
cat > "$work/image/manifest.json" << END
[{"Config":"$config.json","RepoTags":["$tag"],"Layers":["${layers[0]}.tar","${layers[1]}.tar"]}]
END
mkdir -p "$out"
pack "$out/postern.tar" "$work/image"
printf '%s: %s, %s MiB (libraries %s MiB, programs %s MiB), id sha256:%s\n' "$out/postern.tar" "$tag" \
  "$(du -m "$out/postern.tar" | cut -f1)" "$(du -sm "$work/libs" | cut -f1)" "$(du -sm "$work/programs" | cut -f1)" "$config"
