#!/bin/sh
# Fuzzes the data plane with libFuzzer, on any Rust: scripts/fuzz.sh <seconds> [target ...]. New inputs that reach more
# code are kept in native/fuzz/target/found/<target>, failing ones in native/fuzz/target/failed. VRING_FUZZ_MERGE=1 then
# makes native/fuzz/corpus the smallest set of all inputs that reaches the same code.
set -eu
cd "$(dirname "$0")/../native/fuzz"

seconds=${1:?usage: scripts/fuzz.sh <seconds> [target ...]}
shift
[ $# -gt 0 ] || set -- $(sed -n 's/^name = "\(.*\)"/\1/p' Cargo.toml | sed 1,2d)

# The flags of cargo-fuzz, except for AddressSanitizer, which needs a nightly compiler.
coverage='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares'
# Not for the libraries that the compiler loads: with --target, flags only apply to programs.
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="--cfg fuzzing $coverage" cargo build --quiet --release --locked --target "$host" --bins

mkdir -p target/failed
status=0
for target; do
  mkdir -p "target/found/$target"
  program=target/$host/release/$target
  # A request that hangs, and memory that grows without bounds, are failures, too.
  "$program" "target/found/$target" "corpus/$target" -max_total_time="$seconds" -timeout=10 \
    -rss_limit_mb=1024 -malloc_limit_mb=512 -max_len=32768 -print_final_stats=1 -artifact_prefix="target/failed/$target-" \
    >"target/$target.log" 2>&1 || status=1
  tail -n 12 "target/$target.log" | sed "s/^/$target: /"
  if [ -n "${VRING_FUZZ_MERGE:-}" ]; then
    rm -rf target/merged
    mkdir target/merged
    "$program" -set_cover_merge=1 -use_counters=0 target/merged "corpus/$target" "target/found/$target" \
      >>"target/$target.log" 2>&1
    rm -rf "corpus/$target"
    mv target/merged "corpus/$target"
  fi
done
exit $status
