"""Data-parallel training on a CPU: one single-threaded process per core, gradients averaged.

On a busy machine this is far faster than one process with several threads, because a thread that loses its core no longer
stalls every parallel region of every layer.
"""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import Callable

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _main(rank: int, world: int, port: int, target: Callable, arguments: tuple) -> None:
    torch.set_num_threads(1)
    if world > 1:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        dist.init_process_group("gloo", rank=rank, world_size=world)
    try:
        target(rank, world, *arguments)
    finally:
        if world > 1:
            dist.destroy_process_group()


def run_workers(world: int, target: Callable, *arguments) -> None:
    """Runs `target(rank, world, *arguments)` in `world` processes and waits for them."""
    if world == 1:
        _main(0, 1, 0, target, arguments)
    else:
        mp.spawn(_main, args=(world, _free_port(), target, arguments), nprocs=world, join=True)


class GradientAverager:
    """Averages the gradients of `parameters` over all workers, through shared memory.

    Two buffers take turns, so one barrier per step is enough: a worker writes to a buffer again only after a barrier that
    all others reach after having read it. The sum is always in the order of ranks: all workers get the same bits.
    """

    def __init__(self, parameters: list[torch.nn.Parameter], rank: int, world: int):
        self.parameters, self.rank, self.world, self.turn = parameters, rank, world, 0
        if world == 1:
            return
        size = sum(p.numel() for p in parameters)
        memory = self._map_shared(2 * world * size).view(2, world, size)
        self.views = [[self._split(memory[turn, r]) for r in range(world)] for turn in range(2)]

    def _map_shared(self, count: int) -> torch.Tensor:
        """float32 [count] in memory that every worker sees; its file name is gone once all have mapped it."""
        folder = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())
        path = folder / f"gradients-{os.environ['MASTER_PORT']}"
        if self.rank == 0:
            with open(path, "wb") as file:
                file.truncate(4 * count)
        dist.barrier()
        memory = torch.from_file(str(path), shared=True, size=count)
        dist.barrier()
        if self.rank == 0:
            path.unlink()
        return memory

    def _split(self, flat: torch.Tensor) -> list[torch.Tensor]:
        pieces = flat.split([p.numel() for p in self.parameters])
        return [piece.view_as(p) for piece, p in zip(pieces, self.parameters)]

    def __call__(self) -> None:
        if self.world == 1:
            return
        gradients = [p.grad for p in self.parameters]
        views = self.views[self.turn]
        self.turn = 1 - self.turn
        torch._foreach_copy_(views[self.rank], gradients)
        dist.barrier()
        torch._foreach_copy_(gradients, views[0])
        for other in views[1:]:
            torch._foreach_add_(gradients, other)
        torch._foreach_mul_(gradients, 1 / self.world)


def agree(value: float, world: int) -> float:
    """The first worker's value, on every worker (clock readings must not make workers disagree about when to stop)."""
    if world == 1:
        return value
    tensor = torch.tensor([value], dtype=torch.float64)
    dist.broadcast(tensor, 0)
    return tensor.item()
