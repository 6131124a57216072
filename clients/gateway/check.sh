#!/usr/bin/env bash
# check.sh <folder of stepcast-server>: types, builds and tests the gateway; ctest's gateway.
set -euo pipefail
binaries=$(readlink -f "$1")
cd "$(dirname "$(readlink -f "$0")")"
command -v node > /dev/null || { echo "skipped: no node"; exit 77; }
if [ "$(node -p 'Number(process.versions.node.split(".")[0]) >= 20')" != true ]; then
  echo "skipped: node is $(node --version), and the gateway needs 20 or newer"
  exit 77
fi
for folder in ../node .; do
  cmp -s $folder/package-lock.json $folder/node_modules/.installed ||
    { echo "skipped: no packages in $folder; ./dev test installs them where node and npm are"; exit 77; }
done
(cd ../node && bash generate.sh && npx --no-install tsc)
bash generate.sh
npx --no-install tsc
export STEPCAST_BINARY_DIR="$binaries"
exec node --test tests/*.test.js
