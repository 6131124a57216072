#!/usr/bin/env bash
# check.sh <folder of stepcast-server>: types, builds and tests the Node client; ctest's node_client.
set -euo pipefail
binaries=$(readlink -f "$1")
cd "$(dirname "$(readlink -f "$0")")"
command -v node > /dev/null || { echo "skipped: no node"; exit 77; }
cmp -s package-lock.json node_modules/.installed || { echo "skipped: no packages; ./dev test installs them where node and npm are"; exit 77; }
bash generate.sh
npx --no-install tsc
export STEPCAST_BINARY_DIR="$binaries"
exec node --test tests/*.test.js
