"""Messages of a stream to events: one place for the synchronous and the asynchronous client."""

from __future__ import annotations

import hashlib

from google.protobuf.duration_pb2 import Duration

from stepcast import events
from stepcast.errors import BrokenStreamError
from stepcast.v1 import image_generation_pb2 as pb
from stepcast.v1 import statistics_pb2


def seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


def _timings(timings: statistics_pb2.Timings) -> events.Timings:
    parts = (timings.queued, timings.encode, timings.denoise, timings.decode, timings.total)
    return events.Timings(*(seconds(part) for part in parts))


def _optional(message: pb.Accepted | pb.Progress | pb.GenerateImageResponse, name: str) -> float | None:
    return seconds(getattr(message, name)) if message.HasField(name) else None


def check_picture(index: int, data: bytes, sha256: str) -> None:
    came = hashlib.sha256(data).hexdigest()
    if came != sha256:
        raise BrokenStreamError(f"picture {index}: its bytes have sha256 {came}, the server says {sha256}")


class Assembly:
    """Reads one call, over as many attempts as it takes; pictures that are whole are told once."""

    def __init__(self, validate_only: bool) -> None:
        self._validate_only = validate_only
        self._done: set[int] = set()
        self.restart()

    def restart(self) -> None:
        """A new attempt begins: parts of pictures are forgotten, whole ones are not."""
        self.started = False
        self._accepted: pb.Accepted | None = None
        self._completed = False
        self._sequence = 0
        self._parts: dict[int, bytearray] = {}

    @property
    def seed(self) -> int | None:
        """The seed that the server chose or took."""
        return self._accepted.request.seed if self._accepted is not None else None

    def add(self, response: pb.GenerateResponse) -> events.Event | None:
        """The event that `response` makes, if it makes one."""
        self.started = True
        if response.sequence != self._sequence:
            raise BrokenStreamError(f"message {response.sequence} came where {self._sequence} was due")
        self._sequence += 1
        kind = response.WhichOneof("event")
        if kind == "image_chunk":
            return self._chunk(response.image_chunk)
        if kind == "accepted":
            return self._accept(response.accepted)
        if kind == "completed":
            return self._complete(response.completed)
        if kind == "progress" and response.progress.image_index not in self._done:
            return self._progress(response.progress)
        if kind == "preview" and response.preview.image_index not in self._done:
            seen = response.preview
            return events.Preview(seen.image_index, seen.data, seen.mime, seen.width, seen.height, seen.step)
        # A kind of event that this client does not know is of a newer contract, which adds but never changes.
        return None

    def finish(self) -> None:
        """The stream ended well: everything must have come."""
        if self._accepted is None or not (self._completed or self._validate_only):
            raise BrokenStreamError("the stream ended before all was told")

    def _accept(self, accepted: pb.Accepted) -> events.Accepted:
        self._accepted = accepted
        return events.Accepted(
            request=accepted.request,
            evaluations=accepted.evaluations,
            queue_position=accepted.queue_position,
            warnings=tuple(accepted.warnings),
            estimated_wait=_optional(accepted, "estimated_wait"),
            estimated_total=_optional(accepted, "estimated_total"),
        )

    def _progress(self, progress: pb.Progress) -> events.Progress:
        return events.Progress(
            image_index=progress.image_index,
            step=progress.step,
            steps=progress.steps,
            evaluations_done=progress.evaluations_done,
            evaluations_total=progress.evaluations_total,
            queue_position=progress.queue_position,
            eta=_optional(progress, "eta"),
        )

    def _chunk(self, chunk: pb.ImageChunk) -> events.Image | None:
        index = chunk.image_index
        part = self._parts.setdefault(index, bytearray())
        if chunk.offset != len(part) or chunk.offset + len(chunk.data) > chunk.total_bytes:
            raise BrokenStreamError(f"picture {index}: bytes from {chunk.offset} came where {len(part)} were there")
        part += chunk.data
        if len(part) < chunk.total_bytes:
            return None
        data = bytes(self._parts.pop(index))
        check_picture(index, data, chunk.sha256)
        if index in self._done:
            return None
        self._done.add(index)
        return events.Image(index, data, chunk.mime, chunk.width, chunk.height, chunk.seed, chunk.sha256)

    def _complete(self, completed: pb.Completed) -> events.Completed:
        if self._accepted is not None and len(self._done) != self._accepted.request.image_count:
            raise BrokenStreamError(f"{len(self._done)} of {self._accepted.request.image_count} pictures came")
        self._completed = True
        return _completed(completed)


def _completed(message: pb.Completed | pb.GenerateImageResponse) -> events.Completed:
    return events.Completed(
        timings=_timings(message.timings),
        evaluations=message.evaluations,
        denoise_ticks=message.batch.denoise_ticks,
        mean_rows=message.batch.mean_rows,
        model_sha256=message.model_sha256,
    )


class Collector:
    """Sums the events of a call up."""

    def __init__(self) -> None:
        self._accepted: events.Accepted | None = None
        self._images: dict[int, events.Image] = {}
        self._completed: events.Completed | None = None

    def add(self, event: events.Event) -> None:
        if isinstance(event, events.Accepted):
            self._accepted = event
        elif isinstance(event, events.Image):
            self._images[event.image_index] = event
        elif isinstance(event, events.Completed):
            self._completed = event

    def result(self) -> events.Result:
        if self._accepted is None:
            raise BrokenStreamError("the stream was read before, or told nothing")
        return events.Result(
            images=tuple(self._images[index] for index in sorted(self._images)),
            request=self._accepted.request,
            warnings=self._accepted.warnings,
            completed=self._completed,
            estimated_wait=self._accepted.estimated_wait,
            estimated_total=self._accepted.estimated_total,
        )


def unary_result(response: pb.GenerateImageResponse) -> events.Result:
    """What GenerateImage answered, checked."""
    images = []
    for index, image in enumerate(response.images):
        check_picture(index, image.data, image.sha256)
        images.append(events.Image(index, image.data, image.mime, image.width, image.height, image.seed, image.sha256))
    return events.Result(
        images=tuple(images),
        request=response.request,
        warnings=tuple(response.warnings),
        completed=_completed(response) if response.HasField("timings") else None,
        estimated_wait=_optional(response, "estimated_wait"),
        estimated_total=_optional(response, "estimated_total"),
    )
