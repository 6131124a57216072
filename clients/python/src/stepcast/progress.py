"""Progress bars for `paint(progress=...)`. tqdm and rich are used where they are installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from stepcast import events

Report = Callable[[events.Event], object]
Bar = bool | Literal["tqdm", "rich"] | Report | None


def _nothing(_: events.Event) -> None:
    return None


@contextmanager
def reporter(kind: Bar) -> Iterator[Report]:
    """What to call with each event. True: tqdm, which also knows notebooks; ImportError where it is missing."""
    if kind is None or kind is False:
        yield _nothing
    elif kind is True or kind == "tqdm":
        with _tqdm() as report:
            yield report
    elif kind == "rich":
        with _rich() as report:
            yield report
    elif callable(kind):
        yield kind
    else:
        raise ValueError(f"progress: got {kind!r}; allowed: True, 'tqdm', 'rich' or something to call")


class _Counter:
    """Denoiser evaluations of all pictures together: what a bar counts."""

    def __init__(self) -> None:
        self.total = 0
        self._done: dict[int, int] = {}

    def add(self, event: events.Event) -> int:
        """The evaluations done so far."""
        if isinstance(event, events.Accepted):
            self.total = event.evaluations * event.request.image_count
            self._done.clear()
        elif isinstance(event, events.Progress):
            self._done[event.image_index] = event.evaluations_done
        elif isinstance(event, events.Completed):
            return self.total
        return sum(self._done.values())


@contextmanager
def _tqdm() -> Iterator[Report]:
    from tqdm.auto import tqdm

    counter = _Counter()
    with tqdm(unit="step", leave=False) as bar:

        def report(event: events.Event) -> None:
            bar.total = counter.total
            bar.n = counter.add(event)
            bar.total = counter.total
            bar.refresh()

        yield report


@contextmanager
def _rich() -> Iterator[Report]:
    from rich.progress import Progress

    counter = _Counter()
    with Progress(transient=True) as bar:
        task = bar.add_task("painting", total=None)

        def report(event: events.Event) -> None:
            done = counter.add(event)
            bar.update(task, completed=done, total=counter.total)

        yield report
