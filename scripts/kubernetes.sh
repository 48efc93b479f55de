#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the Kubernetes servers that `./dev e2e` runs, from Debian's source package, into a cache outside the tree.
#
# Debian 12 packages kubectl and etcd but no Kubernetes server; the source package has all of them, with what they
# import. The source is fetched with an apt configuration of its own: the machine's apt sources are read for
# where they point, and left as they are. Prints the folder of the programs as its last line.
set -euo pipefail

usage() {
  cat <<'TEXT'
scripts/kubernetes.sh [--where]: builds kube-apiserver, kubelet, kube-controller-manager and kube-scheduler (4 to 8
minutes on two cores), or does nothing when the cache has them. --where only prints the folder, and fails if it
is not complete. The cache: $POSTERN_E2E_CACHE, default /var/cache/postern-e2e, one folder for each version.
TEXT
}

PROGRAMS=(kube-apiserver kubelet kube-controller-manager kube-scheduler)
PACKAGE=kubernetes
# Debian's Go is newer than this Kubernetes: the API server dies at the first custom resource, unless reflect2 knows that Go
# (https://github.com/modern-go/reflect2/issues/26). Debian packages such a one.
REFLECT2=github.com/modern-go/reflect2
BUILD_NEEDS=(golang-go golang-github-modern-go-reflect2-dev rsync dpkg-dev make gcc libc6-dev)
REVISION=r2 # of how it is built; what another one built is built anew

say() { echo "kubernetes: $*" >&2; }
die() { say "$*"; exit 1; }

cache=${POSTERN_E2E_CACHE:-/var/cache/postern-e2e}
apt_get() { apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"; }

# The version that the machine's package lists offer; an installed cache needs no lists.
candidate() {
  LC_ALL=C apt-cache policy kubernetes-client | awk '$1 == "Candidate:" && $2 != "(none)" {print $2}'
}

complete() {
  local folder=$1 program
  for program in "${PROGRAMS[@]}"; do
    [ -x "$folder/$program" ] || return 1
  done
  # Written last, after each program has told its version: a build that was cut short is no cache.
  [ -f "$folder/built" ]
}

# The build of the version that apt offers; of any version where apt knows none.
good_cache() {
  local folder
  for folder in "$cache"/*/; do
    folder=${folder%/}
    if [ "${key:-${folder##*/}}" = "${folder##*/}" ] && complete "$folder"; then
      echo "$folder"
      return 0
    fi
  done
  return 1
}

# An apt that knows the source packages of the suites this machine has, in a folder of its own.
private_apt() {
  local folder=$1 keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  mkdir -p "$folder/lists/partial" "$folder/archives/partial"
  # shellcheck disable=SC2016  # apt's own placeholders
  apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' | sort -u |
    awk -v k="$keyring" -v s="$VERSION_CODENAME" \
      'index($2, s) == 1 && $2 !~ /backports/ {print "deb-src [signed-by=" k "] " $1 " " $2 " " $3}' > "$folder/sources.list"
  [ -s "$folder/sources.list" ] || die "this machine has no apt source for ${VERSION_CODENAME}: run apt-get update, then try again"
  options=(-o "Dir::Etc::SourceList=$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$folder/lists" -o "Dir::Cache::archives=$folder/archives" -o Dir::Cache::pkgcache=
    -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root)
  apt_get "${options[@]}" -qq update
}

fetch() {
  local folder=$1
  private_apt "$folder/apt"
  say "fetching the source package $PACKAGE"
  (cd "$folder" && apt_get "${options[@]}" -qq source --only-source "$PACKAGE" > "$folder/fetch.log" 2>&1) ||
    { tail -n 20 "$folder/fetch.log" >&2; die "the source package could not be fetched or unpacked"; }
}

compile() {
  local folder=$1 into=$2 tree program
  tree=$(find "$folder" -mindepth 1 -maxdepth 1 -type d -name "$PACKAGE-*" | head -n 1)
  [ -n "$tree" ] || die "no folder $PACKAGE-* was unpacked in $folder"
  # Its makefiles want to lie where GOPATH says; all of Go's own files stay in the folder that is removed.
  mkdir -p "$folder/go/src/k8s.io"
  mv "$tree" "$folder/go/src/k8s.io/kubernetes"
  rm -r "$folder/go/src/k8s.io/kubernetes/vendor/$REFLECT2"
  cp -r "/usr/share/gocode/src/$REFLECT2" "$folder/go/src/k8s.io/kubernetes/vendor/$REFLECT2"
  cat > "$folder/version" <<TEXT
KUBE_GIT_COMMIT=debian
KUBE_GIT_TREE_STATE=archive
KUBE_GIT_VERSION=v$upstream
KUBE_GIT_MAJOR=$(echo "$upstream" | cut -d. -f1)
KUBE_GIT_MINOR=$(echo "$upstream" | cut -d. -f2)
TEXT
  say "compiling ${PROGRAMS[*]}"
  (
    cd "$folder/go/src/k8s.io/kubernetes"
    export GOPATH="$folder/go" GOCACHE="$folder/go-cache" GO111MODULE=off GOFLAGS='' HOME="$folder"
    export KUBE_GIT_VERSION_FILE="$folder/version"  # there is no git history to tell it
    make WHAT="$(printf 'cmd/%s ' "${PROGRAMS[@]}")" > "$folder/make.log" 2>&1
  ) || { tail -n 30 "$folder/make.log" >&2; die "the build failed; the end of its log is above"; }
  mkdir -p "$into"
  for program in "${PROGRAMS[@]}"; do
    install -m 755 "$folder/go/src/k8s.io/kubernetes/_output/bin/$program" "$into/$program"
    "$into/$program" --version > /dev/null || die "$program was built and does not run"
  done
}

version=$(candidate)
key=${version:+$version-$REVISION}
case "${1:-}" in
  '') ;;
  --where) good_cache || die "there is no complete build in $cache: run scripts/kubernetes.sh"; exit 0 ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

if folder=$(good_cache); then
  say "$("$folder/kubelet" --version) is in $folder, built before: nothing to do"
  echo "$folder"
  exit 0
fi

[ "$(id -u)" -eq 0 ] || die "it installs a Go compiler and writes to $cache: run it with sudo"
# shellcheck source=/dev/null
. /etc/os-release
if [ "${ID:-}" != debian ] || [ "${VERSION_ID:-}" != 12 ]; then
  die "only Debian 12's source package is known to build; this is ${PRETTY_NAME:-an unknown system}. Put ${PROGRAMS[*]} \
of Kubernetes 1.20 or newer and an empty file named built into $cache/${key:-VERSION} yourself"
fi
[ -n "$version" ] || { apt_get -qq update; version=$(candidate); }
[ -n "$version" ] || die "apt knows no kubernetes-client: check this machine's apt sources"
# 1.20.5+really1.20.2-1.1+deb12u1 is 1.20.2.
upstream=${version##*really}
upstream=${upstream%%[-+~]*}
into="$cache/$version-$REVISION"

began=$(date +%s)
say "building Kubernetes $upstream ($version) into $into; two cores take 4 to 8 minutes"
export DEBIAN_FRONTEND=noninteractive
apt_get -qq -y --no-install-recommends install "${BUILD_NEEDS[@]}" > /dev/null
mkdir -p "$cache"
work=$(mktemp -d "$cache/.build-XXXXXX")
# Go makes its module files read-only.
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
fetch "$work"
compile "$work" "$work/bin"
printf '%s\n' "$version" > "$work/bin/built"
rm -rf "$into"
mv "$work/bin" "$into"
say "built in $(($(date +%s) - began)) s: $("$into/kubelet" --version), $(du -sh "$into" | cut -f 1)"
echo "$into"
