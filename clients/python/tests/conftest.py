from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator

import pytest
from servers import RealServer, Script, ScriptedServer

import stepcast


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """One that pictures are painted with: text to image, files in chunks of 1 KiB."""
    real = RealServer(tmp_path_factory.mktemp("server"), "limits: {image_chunk_bytes: 1024}\n", "emoji")
    yield real
    real.stop()


@pytest.fixture
def client(server: RealServer) -> Iterator[stepcast.Client]:
    with stepcast.Client(server.address, timeout=120) as made:
        yield made


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    made: list[ScriptedServer] = []

    def start(*scripts: Script) -> ScriptedServer:
        made.append(ScriptedServer(*scripts))
        return made[-1]

    yield start
    for one in made:
        one.stop()


@pytest.fixture
def real(tmp_path: pathlib.Path) -> Iterator[Callable[..., RealServer]]:
    """Servers of a test's own."""
    made: list[RealServer] = []

    def start(config: str = "", model: str = "digits") -> RealServer:
        folder = tmp_path / f"server{len(made)}"
        folder.mkdir()
        made.append(RealServer(folder, config, model))
        return made[-1]

    yield start
    for one in made:
        one.stop()
