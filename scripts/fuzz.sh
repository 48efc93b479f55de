#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes each target for a while, one after another, from its seeds. Usage: fuzz.sh SECONDS [TARGET...]
# A crash ends the run with exit status 1; its input is left in build/fuzz/found/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cd build/fuzz/bin && find . -name 'fuzz_*' -printf '%f\n' | sed 's/^fuzz_//' | sort)
[ ${#targets[@]} -gt 0 ] || { echo "fuzz: no targets in build/fuzz/bin" >&2; exit 1; }
failed=0
for target in "${targets[@]}"; do
  found=build/fuzz/found/$target
  corpus=build/fuzz/corpus/$target
  mkdir -p "$found" "$corpus"
  seeds=()
  [ ! -d "tests/fuzz/corpus/$target" ] || seeds=("tests/fuzz/corpus/$target")
  printf '%-24s %s s ' "$target" "$seconds"
  if output=$("build/fuzz/bin/fuzz_$target" -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="$found/" "$corpus" "${seeds[@]}" 2>&1); then
    printf '%s runs\n' "$(printf '%s\n' "$output" | awk '/number_of_executed_units/ {print $2}')"
  else
    printf 'FAILED, input in %s\n%s\n' "$found" "$(printf '%s\n' "$output" | tail -n 30)"
    failed=1
  fi
done
exit $failed
