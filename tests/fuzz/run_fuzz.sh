#!/usr/bin/env bash
# run_fuzz.sh <name> <seconds>: builds <name>_fuzz with clang (preset `fuzz`) and runs it from the committed corpus. What it
# finds is left in build/fuzz, beside the corpus that it grows.
set -euo pipefail
name=$1 seconds=$2
cd "$(dirname "$0")/../.."
readonly ROOT=$PWD
command -v clang++-19 > /dev/null || { echo "clang++-19 is missing"; exit 77; }
cmake --preset fuzz > /dev/null
cmake --build build/fuzz --target "${name}_fuzz"
mkdir -p "build/fuzz/${name}_corpus"
cd build/fuzz
dictionary=()
[ ! -f "$ROOT/tests/fuzz/$name.dict" ] || dictionary=("-dict=$ROOT/tests/fuzz/$name.dict")
trap 'rm -rf /dev/shm/stepcast_fuzz_* /tmp/stepcast_fuzz_*' EXIT
"tests/${name}_fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
  "${dictionary[@]}" "${name}_corpus" "$ROOT/tests/fuzz/${name}_corpus" 2>&1 | tee "${name}_fuzz.log" | tail -20
echo "result: $(grep -o 'number_of_executed_units: [0-9]*' "${name}_fuzz.log" | grep -o '[0-9]*') inputs in $seconds s"
