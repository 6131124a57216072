#!/usr/bin/env bash
# Everything that only a machine with an NVIDIA card can show, in one command and under ten minutes once it is built:
#
#   bench/device_check.sh [--device cuda:0] [--name NAME]
#
# (`--device cpu` rehearses it where there is no card: all but the tests that need one.)
#
# It builds with CUDA, runs the tests that need a card, paints with the bundled models, and times a step of Stable
# Diffusion 1.5's shape (random weights, fp16, 1 to 16 rows) beside diffusers, eager and compiled. Pictures, logs and
# one JSON file go to bench/results/NAME (the card's name). Exit: 0 all held, 1 something failed, 3 no card.
#
# STEPCAST_TORCH_DIR: a LibTorch with CUDA to use instead of the pinned one. STEPCAST_PEER_PYTHON: a Python that has torch
# with CUDA, diffusers and transformers; without one such is made in .deps/peer, and where that fails the peer's columns
# stay empty.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

device=cuda:0
name=""
while [ $# -gt 0 ]; do
  case "$1" in
    --device) device=$2; shift 2 ;;
    --name) name=$2; shift 2 ;;
    *) sed -n '2,15s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
preset=cuda
dtype=fp16
if [ "$device" = cpu ]; then
  card=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)
  driver=none
  preset=bench
  dtype=bf16
else
  card=$(nvidia-smi --query-gpu=name --format=csv,noheader -i "${device#cuda:}" 2> /dev/null) ||
    { say "no NVIDIA card here (nvidia-smi finds none for $device)"; exit 3; }
  driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader -i "${device#cuda:}")
fi
name=${name:-$(tr 'A-Z ' 'a-z_' <<< "$card" | tr -cd 'a-z0-9_-')}
export OUT="bench/results/$name" BUILD="build/$preset" device preset dtype
mkdir -p "$OUT" build
failed=0

step() {  # <seconds> <title> <command...>: bounded, logged, counted
  local limit=$1 title=$2 log
  log="$OUT/$(tr 'A-Z ' 'a-z_' <<< "$title").log"
  shift 2
  say "$title"
  timeout "$limit" bash -euo pipefail -c '"$@"' - "$@" > "$log" 2>&1 || { failed=1; say "FAILED: $title ($log)"; tail -n 15 "$log" >&2; return 1; }
}

build() {
  local targets=(stepcast-server stepcast engine_bench)
  if [ "$preset" = cuda ]; then
    [ -n "${STEPCAST_TORCH_DIR:-}" ] || ./dev deps cuda
    targets+=(engine_tests)
  fi
  cmake --preset "$preset" ${STEPCAST_TORCH_DIR:+-DSTEPCAST_TORCH_DIR="$STEPCAST_TORCH_DIR"}
  cmake --build "$BUILD" -j "$(nproc)" --target "${targets[@]}"
}

paint() {  # the bundled models, through the server
  local ports="$OUT/ports.json" server
  cat > "$OUT/server.yaml" << EOF
models: [{id: emoji, path: ../../../models/emoji}, {id: digits, path: ../../../models/digits}]
device: $device
listen: {port: 0, admin_port: 0, metrics_port: 0}
EOF
  rm -f "$ports"
  "$BUILD/stepcast-server" --config "$OUT/server.yaml" --port_file "$PWD/$ports" &
  server=$!
  trap 'kill $server 2> /dev/null || true' RETURN
  local waited=0
  until [ -s "$ports" ]; do
    kill -0 "$server" && [ "$waited" -lt 600 ] || return 1
    sleep 0.1
    waited=$((waited + 1))
  done
  local port
  port=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["grpc"])' "$ports")
  local cli=("$BUILD/stepcast" --host "localhost:$port")
  "${cli[@]}" health --wait 120
  "${cli[@]}" generate "a red apple" --seed 7 -o "$OUT/apple.png"
  "${cli[@]}" generate --model digits --class-label 7 --seed 7 -o "$OUT/seven.png"
  kill -TERM "$server"
  wait "$server"
}

peer_python() {  # prints a Python that has what the peer needs
  local python=${STEPCAST_PEER_PYTHON:-.deps/peer/bin/python}
  if [ ! -x "$(command -v "$python")" ]; then
    { python3 -m venv .deps/peer && .deps/peer/bin/pip install -q -r tools/train/requirements.txt; } >&2 || return 1
  fi
  "$python" -c 'import diffusers, torch, transformers, os; assert os.environ["device"] == "cpu" or torch.cuda.is_available()' 2> /dev/null && echo "$python"
}

measure() {  # <python>: three programs, one after the other, on an idle card
  local python=$1 model=build/random/sd15
  [ -f "$model/model_index.json" ] || "$python" tools/parity/make_random_model.py --like sd15 --to "$model"
  local flags=(ticks --model "$model" --dtype "$dtype" --max_rows 16 --repeat 3)
  "$BUILD/bench/engine_bench" "${flags[@]}" --device "$device" | tee "$OUT/ours.jsonl"
  "$python" bench/peer_diffusers.py "${flags[@]}" --device "$device" | tee "$OUT/eager.jsonl"
  [ "$device" = cpu ] || "$python" bench/peer_diffusers.py "${flags[@]}" --device "$device" --compile | tee "$OUT/compile.jsonl"
}

report() {  # one JSON file of what was measured
  python3 - "$OUT" "$card" "$driver" "$dtype" << 'EOF'
import json, pathlib, sys
out = pathlib.Path(sys.argv[1])
def ticks(side):
    path = out / f"{side}.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {row["rows"]: row["tick_ms"] for row in map(json.loads, (l for l in lines if l.startswith("{")))}
ours, eager, compiled = ticks("ours"), ticks("eager"), ticks("compile")
table = [{"rows": r, "tick_ms": ours[r], "eager_ms": eager.get(r), "compile_ms": compiled.get(r),
          "eager_over_ours": eager.get(r) and round(eager[r] / ours[r], 2),
          "compile_over_ours": compiled.get(r) and round(compiled[r] / ours[r], 2)} for r in sorted(ours)]
result = {"card": sys.argv[2], "driver": sys.argv[3], "shape": f"SD1.5, 512x512, {sys.argv[4]}, random weights", "steps": table}
(out / "device_check.json").write_text(json.dumps(result, indent=1) + "\n")
print(json.dumps(result, indent=1))
EOF
}

say "$card, driver $driver"
export -f build paint measure
step 3600 "build" build || exit 1
if [ "$preset" = cuda ]; then
  step 240 "gpu tests" "$BUILD/tests/engine_tests" --gtest_filter='Cuda*' || true
fi
step 120 "bundled models" paint || true
if python=$(peer_python); then
  step 420 "sd15 steps" measure "$python" || true
else
  say "no Python with torch, CUDA and diffusers: the SD1.5-shaped steps were not measured"
fi
report
[ "$failed" -eq 0 ] || exit 1
say "all held; results in $OUT"
