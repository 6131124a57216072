"""One network that make_layer_fixtures.py runs."""
from __future__ import annotations

import dataclasses
from typing import Callable


@dataclasses.dataclass
class Case:
    """`run(draws, config_of)` makes the network and its inputs and returns (output, config)."""

    name: str
    kind: str
    run: Callable
    published: list[float] | None = None
