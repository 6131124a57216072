"""Live previews in a notebook: `notebook.show(client.generate("a red apple", preview=2))`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stepcast import events
from stepcast._assembly import Collector


def show(generation: Iterable[events.Event]) -> events.Result:
    """Shows each picture where it is painted, unfinished and then finished, and returns them all."""
    import IPython.display

    display: Any = IPython.display.display
    collector = Collector()
    shown: dict[int, Any] = {}
    for event in generation:
        collector.add(event)
        if isinstance(event, events.PictureFile):
            if event.image_index in shown:
                shown[event.image_index].update(event)
            else:
                shown[event.image_index] = display(event, display_id=True)
    return collector.result()
