#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Formatting of all C++ files, and clang-tidy over the sources. Usage: lint.sh [SOURCE...]
set -euo pipefail
cd "$(dirname "$0")/.."
status=0
mapfile -t all < <(git ls-files '*.cpp' '*.h' | grep -v '^bpf/')
if ! clang-format --dry-run -Werror "${all[@]}" 2> /tmp/postern-format.$$; then
  grep -o '^[^:]*' /tmp/postern-format.$$ | sort | uniq -c | sort -rn | head -n 20
  echo "lint: formatting differs; ./dev fmt mends it"
  status=1
fi
rm -f /tmp/postern-format.$$
sources=("$@")
[ ${#sources[@]} -gt 0 ] || mapfile -t sources < <(git ls-files '*.cpp' | grep -v '^tests/')
cmake --preset dev > /dev/null
ninja -C build/dev --quiet
# One at a time a core: clang-tidy takes seconds a file.
printf '%s\n' "${sources[@]}" | xargs -P "$(nproc)" -n 4 clang-tidy -p build/dev --quiet 2> /dev/null || status=1
exit $status
