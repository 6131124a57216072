#!/usr/bin/env bash
# run_request_fuzz.sh <seconds>: builds request_fuzz with clang (preset `fuzz`) and runs it. What it finds is left in
# build/fuzz, beside the corpus that it grows.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v clang++-19 > /dev/null || { echo "clang++-19 is missing"; exit 77; }
cmake --preset fuzz > /dev/null
cmake --build build/fuzz --target request_fuzz
mkdir -p build/fuzz/corpus
cd build/fuzz
tests/request_fuzz -max_total_time="$1" -timeout=5 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=1 \
  corpus "$OLDPWD/tests/fuzz/request_corpus" 2>&1 | tee request_fuzz.log | tail -20
echo "result: $(grep -o 'number_of_executed_units: [0-9]*' request_fuzz.log | grep -o '[0-9]*') requests in $1 s"
