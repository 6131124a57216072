#!/usr/bin/env bash
# check.sh <folder of stepcast-server> [screenshots]: checks, builds and tests the page in Chromium; ctest's page. With
# "screenshots" it makes docs/images/page_*.png instead of testing.
set -euo pipefail
binaries=$(readlink -f "$1")
cd "$(dirname "$(readlink -f "$0")")"
command -v node > /dev/null || { echo "skipped: no node"; exit 77; }
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || { echo "skipped: node $(node --version) is older than 20"; exit 77; }
for folder in ../../node .. .; do
  cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed" ||
    { echo "skipped: no packages in $(readlink -f "$folder"); ./dev test installs them where node and npm are"; exit 77; }
done
if [ "${2:-}" != screenshots ]; then
  npx --no-install eslint .
  npx --no-install vitest run tests/unit
fi
npx --no-install tsc
npx --no-install vite build --logLevel warn
STEPCAST_CHROMIUM=$(command -v chromium || true)
[ -n "$STEPCAST_CHROMIUM" ] || { echo "skipped: no chromium (Debian's package of that name); the tests without a browser passed"; exit 77; }
export STEPCAST_CHROMIUM STEPCAST_BINARY_DIR="$binaries"
(cd ../../node && npm run --silent build)
(cd .. && npm run --silent build)
exec npx --no-install vitest run "tests/${2:-browser}"
