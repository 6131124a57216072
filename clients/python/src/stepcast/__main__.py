"""python -m stepcast "a red apple" -o apple.png"""

from __future__ import annotations

import argparse
import pathlib
import signal
import sys
from collections.abc import Sequence
from typing import Any

from stepcast import errors, events
from stepcast.client import Client

# As the C++ command line's (clients/cli/call/exit_code.h).
EXIT_CODES: dict[type[errors.StepcastError], int] = {
    errors.InvalidRequestError: 3,
    errors.ModelNotFoundError: 3,
    errors.UnavailableError: 4,
    errors.OverloadedError: 5,
    errors.DeadlineExceededError: 6,
}
INTERRUPTED = 130


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not cross or not width.isdigit() or not height.isdigit():
        raise argparse.ArgumentTypeError(f"got {text!r}; allowed: WIDTHxHEIGHT, as 512x512")
    return int(width), int(height)


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m stepcast", description="Paints pictures with a Stepcast server.")
    parser.add_argument("prompt", nargs="?", help="what to paint")
    parser.add_argument("--host", action="append", help="host:port; repeat it to fail over (default: $STEPCAST_HOST)")
    parser.add_argument("--model")
    parser.add_argument("--negative-prompt")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--image-count", type=int)
    parser.add_argument("--size", type=_size, help="WIDTHxHEIGHT")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance-scale", type=float)
    parser.add_argument("--sampler", help="euler, ddim, ...")
    parser.add_argument("--class-label")
    parser.add_argument("--class-index", type=int)
    parser.add_argument("--init-image", help="a picture to begin with")
    parser.add_argument("--mask-image", help="white repaints")
    parser.add_argument("--strength", type=float)
    parser.add_argument("--preview", type=int, metavar="N", help="write the unfinished picture after every N steps")
    parser.add_argument("--tenant")
    parser.add_argument("--timeout", type=float, help="seconds")
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path("stepcast.png"))
    parser.add_argument("-q", "--quiet", action="store_true")
    return parser.parse_args(arguments)


def _request(options: argparse.Namespace) -> dict[str, Any]:
    names = (
        "model negative_prompt seed image_count steps guidance_scale sampler class_label class_index init_image "
        "mask_image strength preview"
    )
    request: dict[str, Any] = {name: getattr(options, name) for name in names.split()}
    if options.size is not None:
        request["width"], request["height"] = options.size
    ending = options.output.suffix.lower().removeprefix(".").replace("jpg", "jpeg")
    if ending not in ("png", "jpeg", "webp"):
        raise ValueError(f"--output: got {str(options.output)!r}; allowed: a name that ends in .png, .jpg or .webp")
    request["output"] = ending
    if options.preview is not None:
        request["preview"] = {"every_n_steps": options.preview, "format": ending}
    return request


def _path(output: pathlib.Path, index: int, count: int) -> pathlib.Path:
    return output if count == 1 else output.with_stem(f"{output.stem}-{index}")


class _Printer:
    """Writes pictures as they come, and a line of progress where somebody looks."""

    def __init__(self, output: pathlib.Path, quiet: bool) -> None:
        self._output = output
        self._quiet = quiet
        self._line = not quiet and sys.stderr.isatty()
        self._count = 1

    def show(self, event: events.Event) -> None:
        if isinstance(event, events.Accepted):
            self._count = event.request.image_count
            for warning in event.warnings:
                self._say(f"warning: {warning}")
        elif isinstance(event, events.Progress) and self._line:
            what = f"waits behind {event.queue_position}" if event.queue_position else f"{event.step}/{event.steps}"
            print(f"\r\033[Kpicture {event.image_index}: {what}", end="", file=sys.stderr, flush=True)
        elif isinstance(event, events.PictureFile):
            path = event.save(_path(self._output, event.image_index, self._count))
            if isinstance(event, events.Image):
                self._say(f"{path}  {event.width}x{event.height}  seed {event.seed}")

    def _say(self, text: str) -> None:
        if self._line:
            print("\r\033[K", end="", file=sys.stderr)
        if not self._quiet:
            print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _arguments(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        printer = _Printer(options.output, options.quiet)
        with (
            Client(options.host, tenant=options.tenant, timeout=options.timeout) as client,
            client.generate(options.prompt, **_request(options)) as generation,
        ):
            for event in generation:
                printer.show(event)
    except KeyboardInterrupt:
        print("\ncancelled", file=sys.stderr)
        return INTERRUPTED
    except errors.StepcastError as error:
        print(f"stepcast: {error}", file=sys.stderr)
        return EXIT_CODES.get(type(error), 1)
    except (OSError, ValueError, TypeError) as error:
        print(f"stepcast: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
