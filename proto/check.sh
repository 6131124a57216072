#!/usr/bin/env bash
# Lints the contract, the length of its lines too, sees that docs/api tells what it says, and compares it with that of the last
# release (the newest tag v*); ctest's contract_lint.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
python3 ../tools/proto_comments.py
buf="$(readlink -f ..)/.deps/python/bin/buf"
[ -x "$buf" ] || buf=$(command -v buf) || { echo "skipped: no buf; ./dev test installs it (deps/python.txt)"; exit 77; }
"$buf" lint
python3 ../tools/api_reference.py --check
release=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2> /dev/null) || { echo "linted; nothing is released yet to compare with"; exit 0; }
before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
git -C .. archive "$release" proto | tar -x -C "$before"
"$buf" breaking --against "$before/proto"
echo "linted, and compared with $release"
