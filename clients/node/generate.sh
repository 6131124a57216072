#!/usr/bin/env bash
# Writes src/gen/ from the wire contract: with protoc (Debian's protobuf-compiler) and ts-proto.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
protos=../../proto
sources=("$protos"/stepcast/v1/*.proto "$protos"/google/rpc/*.proto)
if [ -e src/gen/.made ] && [ -z "$(find "${sources[@]}" generate.sh package-lock.json -newer src/gen/.made)" ]; then
  exit 0
fi
rm -rf src/gen
mkdir -p src/gen
# Messages alone: the five calls are made by client.ts.
options=outputServices=none,outputJsonMethods=false,esModuleInterop=true,importSuffix=.js,env=node,forceLong=number
options+=,stringEnums=true,removeEnumPrefix=true,enumsAsLiterals=true,useOptionals=messages
options+=,useExactTypes=false,comments=true
protoc -I "$protos" --plugin=node_modules/.bin/protoc-gen-ts_proto --ts_proto_out=src/gen --ts_proto_opt="$options" "${sources[@]}"
touch src/gen/.made
