#!/usr/bin/env bash
# Writes stepcast/v1/*.pb.go from the wire contract: with protoc (Debian's protobuf-compiler) and protoc-gen-go, of .deps/bin
# or the PATH.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
PATH="$(readlink -f ../../.deps)/bin:$PATH"
sources=(../../proto/stepcast/v1/*.proto)
made=stepcast/v1/.made
if [ -e "$made" ] && [ -z "$(find "${sources[@]}" generate.sh -newer "$made")" ]; then
  exit 0
fi
rm -rf stepcast
protoc -I ../../proto --go_out=. --go_opt=module=stepcast.dev/go "${sources[@]}"
touch "$made"
