#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes each target for a while, one on each core, from its seeds. Usage: fuzz.sh SECONDS [TARGET...]
# A crash ends with exit status 1 when all are done; its input is left in build/fuzz/found/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cd build/fuzz/bin && find . -name 'fuzz_*' -printf '%f\n' | sed 's/^fuzz_//' | sort)
[ ${#targets[@]} -gt 0 ] || { echo "fuzz: no targets in build/fuzz/bin" >&2; exit 1; }

fuzz_one() {
  local target=$1 found=build/fuzz/found/$1 corpus=build/fuzz/corpus/$1 seeds=() output
  mkdir -p "$found" "$corpus"
  [ ! -d "tests/fuzz/corpus/$target" ] || seeds=("tests/fuzz/corpus/$target")
  if output=$("build/fuzz/bin/fuzz_$target" -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="$found/" "$corpus" "${seeds[@]}" 2>&1); then
    printf '%-24s %s s %s runs\n' "$target" "$seconds" "$(printf '%s\n' "$output" | awk '/number_of_executed_units/ {print $2}')"
  else
    printf '%-24s FAILED, input in %s\n%s\n' "$target" "$found" "$(printf '%s\n' "$output" | tail -n 30)"
    return 1
  fi
}

failed=0
printf '%s targets, %s s each, %s at a time\n' "${#targets[@]}" "$seconds" "$(nproc)"
for target in "${targets[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
    wait -n || failed=1
  done
  fuzz_one "$target" &
done
while [ -n "$(jobs -p)" ]; do
  wait -n || failed=1
done
exit $failed
