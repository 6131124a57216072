"""Writes stepcast/v1/*_pb2.py and .pyi from the wire contract: as a program in a checkout, as a hook of every build."""

import pathlib
import subprocess
import sys
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # a checkout generates without hatchling
    BuildHookInterface = object

HERE = pathlib.Path(__file__).resolve().parent


def proto_root() -> pathlib.Path:
    """A source distribution carries the contract; a checkout has it in proto/."""
    return next(root for root in (HERE / "proto", HERE.parents[1] / "proto") if (root / "stepcast").is_dir())


def generate() -> None:
    root = proto_root()
    sources = sorted((root / "stepcast" / "v1").glob("*.proto"))
    package = HERE / "src" / "stepcast" / "v1"
    made = package / "__init__.py"
    newest = max(path.stat().st_mtime for path in [*sources, pathlib.Path(__file__)])
    if made.exists() and made.stat().st_mtime > newest:
        return
    package.mkdir(parents=True, exist_ok=True)
    for old in package.glob("*_pb2.py*"):
        old.unlink()
    out = HERE / "src"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{root}", f"--python_out={out}", f"--pyi_out={out}"]
    subprocess.run([*command, *(str(path.relative_to(root)) for path in sources)], check=True, cwd=root)
    made.write_text('"""The messages of the wire contract, generated from proto/stepcast/v1."""\n')


class GenerateHook(BuildHookInterface):  # type: ignore[misc,unused-ignore]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        generate()


if __name__ == "__main__":
    generate()
