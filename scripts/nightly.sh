#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What is too long for every change. Prints a summary in Markdown, to be committed as docs/nightly.md.
set -uo pipefail
cd "$(dirname "$0")/.."
fuzz_seconds=${1:-600}
summary=()
run() {
  local name=$1 begin status
  shift
  begin=$(date +%s)
  "$@" >&2
  status=$?
  summary+=("| $name | $([ $status -eq 0 ] && echo passed || echo "**failed** ($status)") | $((($(date +%s) - begin) / 60)) min |")
}
tsan_tests() { ./dev build tsan unit_tests && ctest --test-dir build/tsan -L '^unit$' --output-on-failure --no-tests=error; }
asan_tests() { ./dev build asan unit_tests bpf_tests && ctest --test-dir build/asan -L '^(unit|bpf)$' --output-on-failure --no-tests=error; }
run "fuzzing, $fuzz_seconds s a target" ./dev fuzz "$fuzz_seconds"
run "asan: unit, bpf" asan_tests
run "tsan: unit" tsan_tests
run "bench connect" ./dev bench connect --json build/bench-connect.json
run "bench dns" ./dev bench dns --json build/bench-dns.json
run "bench policy" ./dev bench policy --json build/bench-policy.json
cat <<END
# Nightly

$(date -u +%F), commit $(git rev-parse --short HEAD), kernel $(uname -r), $(nproc) cores. Printed by \`./dev nightly\`.

| what | result | took |
|---|---|---|
$(printf '%s\n' "${summary[@]}")
END
case "${summary[*]}" in *failed*) exit 1 ;; esac
