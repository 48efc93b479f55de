#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what Postern needs to be built, tested and measured, on Debian 12 (with its backports) or 13.
#
# Backports are added from the machine's own apt sources: the mirror it already uses, with the
# suite from os-release. No host is spelled here.
# Usage: deps.sh [e2e]. With e2e: only what `./dev e2e` needs beside that; scripts/kubernetes.sh builds the rest.
set -euo pipefail

# libcurl with OpenSSL: gRPC brings that library already, and Debian 12's libcurl takes certificates from memory
# (kubeconfig's *-data) with OpenSSL only.
BUILD=(g++ clang clang-format clang-tidy cmake ninja-build ccache pkg-config bpftool libbpf-dev linux-libc-dev
  libspdlog-dev libyaml-cpp-dev libcli11-dev nlohmann-json3-dev libldns-dev libpsl-dev libc-ares-dev libmnl-dev libseccomp-dev
  libcap-dev libcurl4-openssl-dev libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc catch2)
TEST=(iproute2 iptables nftables ethtool iputils-ping libcap2-bin curl openssl python3 python3-grpcio python3-grpc-tools
  python3-yaml unbound knot knot-dnsutils nginx-light musl-tools kmod)
BENCH=(dnsperf dnsdist wrk iperf3)
E2E=(etcd-server containerd runc containernetworking-plugins busybox-static iptables unbound openssl python3)
# Several packages bring a kubectl, and they exclude each other: any will do.
command -v kubectl > /dev/null || E2E+=(kubernetes-client)
# Newer than Debian 12's own: tcx in libbpf 1.4, SKIP and a ready-made main in Catch2 3.
FROM_BACKPORTS=(libbpf-dev bpftool catch2)

if [ "$(id -u)" -ne 0 ]; then
  echo "dev deps: installing packages needs root: run it with sudo" >&2
  exit 1
fi
# shellcheck source=/dev/null
. /etc/os-release
if [ "${ID:-}" != debian ]; then
  echo "dev deps: this is ${PRETTY_NAME:-an unknown system}; only Debian 12 and 13 are set up by it." >&2
  echo "          Install the counterparts of: ${BUILD[*]} ${TEST[*]} ${BENCH[*]}" >&2
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
# Another apt (an unattended upgrade, say) may hold the lock for a while.
apt_get() { apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"; }

wanted=("${BUILD[@]}" "${TEST[@]}" "${BENCH[@]}")
case "${1:-}" in
  '') ;;
  e2e) wanted=("${E2E[@]}") FROM_BACKPORTS=() ;;
  *) echo "dev deps: there is no list \"$1\"; the one beside the usual is e2e" >&2; exit 2 ;;
esac

pick=()
if [ "${VERSION_ID:-}" = 12 ] && [ ${#FROM_BACKPORTS[@]} -gt 0 ]; then
  suite="${VERSION_CODENAME}-backports"
  if ! apt-cache policy | grep -q "n=${suite}"; then
    # The URI of the suite that the machine installs its base from.
    uri=$(apt-get indextargets --format '$(SITE) $(RELEASE)' | awk -v s="$VERSION_CODENAME" '$2 == s {print $1; exit}')
    if [ -z "$uri" ]; then
      uri=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' | awk -v s="$VERSION_CODENAME" '$2 == s {print $1; exit}')
    fi
    if [ -z "$uri" ]; then
      echo "dev deps: no apt source for ${VERSION_CODENAME} was found to derive ${suite} from" >&2
      exit 1
    fi
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb [signed-by=${keyring}] ${uri} ${suite} main" > /etc/apt/sources.list.d/postern-backports.list
    echo "dev deps: added ${suite} from this machine's own mirror"
  fi
  for package in "${FROM_BACKPORTS[@]}"; do
    pick+=("${package}/${suite}")
  done
  # What libbpf-dev of backports itself needs from there.
  pick+=("libbpf1/${suite}")
fi

echo "dev deps: updating the package lists"
apt_get -qq update
all=()
for package in "${wanted[@]}"; do
  chosen=$package
  for backport in "${pick[@]}"; do
    if [ "${backport%%/*}" = "$package" ]; then
      chosen=$backport
    fi
  done
  all+=("$chosen")
done
for backport in "${pick[@]}"; do
  case " ${all[*]} " in *" $backport "*) ;; *) all+=("$backport") ;; esac
done
# Servers are started by the tests themselves; Debian would start them at once.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
  made_policy=yes
fi
trap '[ -z "$made_policy" ] || rm -f "$policy"' EXIT
echo "dev deps: installing ${#all[@]} packages"
apt_get -qq -y --no-install-recommends install "${all[@]}" > /dev/null
if [ "${1:-}" = e2e ]; then
  echo "dev deps: done ($(containerd --version | cut -d ' ' -f 2-3), $(etcd --version | head -n 1))"
  exit 0
fi
echo "dev deps: done ($(clang --version | head -n 1), libbpf $(pkg-config --modversion libbpf), $(g++ --version | head -n 1))"
