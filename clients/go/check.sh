#!/usr/bin/env bash
# check.sh <folder of stepcast-server>: vets and tests the Go client; ctest's go_client.
set -euo pipefail
binaries=$(readlink -f "$1")
cd "$(dirname "$(readlink -f "$0")")"
PATH="$(readlink -f ../../.deps)/bin:$PATH"
command -v go > /dev/null || { echo "skipped: no go"; exit 77; }
command -v protoc-gen-go > /dev/null || { echo "skipped: no protoc-gen-go; ./dev test installs it where it can"; exit 77; }
# Nothing is fetched here.
export GOTOOLCHAIN=local GOPROXY=off
bash generate.sh
if ! problem=$(go list -deps -test ./... 2>&1 > /dev/null); then
  echo "skipped: Go is older than go.mod says, or modules are missing that ./dev test installs: ${problem%%$'\n'*}"
  exit 77
fi
unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || { echo "gofmt: $unformatted"; exit 1; }
go vet ./...
if command -v staticcheck > /dev/null; then staticcheck ./...; fi
export STEPCAST_BINARY_DIR="$binaries"
exec go test -count=1 ./...
