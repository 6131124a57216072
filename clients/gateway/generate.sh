#!/usr/bin/env bash
# Writes dist/contract.binpb, the descriptors of the wire contract, with protoc (Debian's protobuf-compiler).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
protos=../../proto
mkdir -p dist
protoc -I "$protos" --include_imports --descriptor_set_out=dist/contract.binpb "$protos"/stepcast/v1/*.proto
