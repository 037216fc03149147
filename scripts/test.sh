#!/bin/sh
# All tests: the packages they need, then the native crate's, then everything else on it.
# VRING_TEST_RESULTS=<folder> keeps the results there for counting.
set -eu
cd "$(dirname "$0")/.."
scripts/install-deps.sh

results=${VRING_TEST_RESULTS:-}
status=0
if [ -n "$results" ]; then
  cargo test --locked --manifest-path native/Cargo.toml >"$results/cargo.txt" 2>&1 || status=1
  cat "$results/cargo.txt"
  vitest run --reporter=default --reporter=json --outputFile.json="$results/vitest.json" "$@" || status=1
else
  cargo test --locked --manifest-path native/Cargo.toml || status=1
  vitest run "$@" || status=1
fi
exit $status
