#!/usr/bin/env bash
# check.sh <folder of stepcast-server>: lints, types, builds and tests the Python client; ctest's python_client.
# The packages are those of deps/python.txt in .deps/python, which ./dev test installs.
set -euo pipefail
binaries=$(readlink -f "$1")
cd "$(dirname "$(readlink -f "$0")")"
packages=$(readlink -f ../..)/.deps/python
[ -e "$packages/.installed" ] || { echo "skipped: .deps/python is not there; ./dev test installs it (deps/python.txt)"; exit 77; }
work="$binaries/python"
mkdir -p "$work"
export PYTHONPATH="$PWD/src:$packages" STEPCAST_BINARY_DIR="$binaries" PYTHONDONTWRITEBYTECODE=1
python3 generate.py
python3 -m ruff check --no-cache .
python3 -m ruff format --no-cache --check .
python3 -m mypy --cache-dir "$work/mypy"
rm -rf "$work/dist"
python3 -m hatchling build -t wheel -d "$work/dist" > /dev/null
python3 - "$work"/dist/*.whl << 'PYTHON'
import sys, zipfile
names = set(zipfile.ZipFile(sys.argv[1]).namelist())
wanted = {"stepcast/py.typed", "stepcast/v1/image_generation_pb2.py", "stepcast/v1/image_generation_pb2.pyi"}
assert wanted <= names, f"the wheel lacks {wanted - names}"
PYTHON
exec python3 -m pytest -p no:cacheprovider "${@:2}"
