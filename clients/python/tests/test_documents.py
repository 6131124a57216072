"""What the README and the examples say works, word by word."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import PIL.Image
from servers import RealServer

HERE = pathlib.Path(__file__).resolve().parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (HERE / "README.md").read_text(), re.DOTALL)
SIZES = {"variations.py": (256, 128), "timelapse.py": (256, 256)}


def start(server: RealServer, folder: pathlib.Path, *arguments: str) -> subprocess.Popen[str]:
    folder.mkdir()
    environment = {**os.environ, "STEPCAST_HOST": server.address}
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE)


def test_the_readme_and_the_examples(server: RealServer, tmp_path: pathlib.Path) -> None:
    program = "\n".join(block.replace('"localhost:50051"', repr(server.address)) for block in BLOCKS)
    readme = start(server, tmp_path / "readme", "-c", program)
    examples = {
        name: start(server, tmp_path / name, str(HERE / "examples" / name), "a red apple", "out.gif") for name in SIZES
    }
    told, _ = readme.communicate()
    assert readme.returncode == 0
    assert "(64, 64) seed 7" in told
    assert "width - got 100" in told
    names = {path.name for path in (tmp_path / "readme").iterdir()}
    assert {"apple.png", "a-rocket.png", "rocket-0.png", "rocket-1.png", "rocket-0-unfinished.jpg"} <= names
    for name, example in examples.items():
        example.communicate()
        assert example.returncode == 0
        with PIL.Image.open(tmp_path / name / "out.gif") as picture:
            assert picture.size == SIZES[name]
