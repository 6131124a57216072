"""Messages of a stream to events: one place for the synchronous and the asynchronous client."""

from __future__ import annotations

import hashlib

from google.protobuf.duration_pb2 import Duration

from stepcast import events
from stepcast.errors import BrokenStreamError
from stepcast.v1 import image_generation_pb2 as pb
from stepcast.v1 import resume_pb2, statistics_pb2


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
    """Reads one call, over as many attempts as it takes; pictures that are whole are told once.

    `request` is what the attempt asks for. A call of which there are tokens goes on with its missing pictures, one
    after the other; without any the whole request is sent again.
    """

    def __init__(self, request: pb.GenerateRequest) -> None:
        self.request = request
        self._whole: pb.Accepted | None = None
        self._done: set[int] = set()
        self._tokens = {0: request.resume_token} if request.resume_token else {}
        self._alone: int | None = None
        self._evaluations = 0
        self._cost: statistics_pb2.Cost | None = None
        self._begin()

    def _begin(self) -> None:
        self.started = False
        self._admitted = False
        self._completed = False
        self._sequence = 0
        self._parts: dict[int, bytearray] = {}

    def restart(self) -> None:
        """A new attempt begins: parts of pictures are forgotten, whole ones and tokens are not."""
        if self._whole is not None:
            self.request.seed = self._whole.request.seed
            if self._tokens or self._alone is not None:
                self._ask_alone()
        self._begin()

    def drop_token(self) -> bool:
        """The server refuses the token; False where none was sent that an earlier attempt had brought."""
        return self._alone is not None and self._tokens.pop(self._alone, None) is not None

    def _missing(self) -> list[int]:
        count = self._whole.request.image_count if self._whole is not None else 0
        return [index for index in range(count) if index not in self._done]

    def _ask_alone(self) -> None:
        missing = self._missing()
        # None is missing where only the end of the call was lost.
        self._alone = missing[0] if missing else self._alone or 0
        self.request.seed += self._alone
        self.request.image_count = 1
        self.request.ClearField("resume_token")
        if self._alone in self._tokens:
            self.request.resume_token = self._tokens[self._alone]

    def _index(self, told: int) -> int:
        return told if self._alone is None else self._alone

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
        if kind == "progress":
            return self._progress(response.progress)
        if kind == "preview":
            return self._preview(response.preview)
        if kind == "parked":
            return self._parked(response.parked)
        if kind == "checkpoint":
            return self._checkpoint(response.checkpoint)
        # A kind of event that this client does not know is of a newer contract, which adds but never changes.
        return None

    def finish(self) -> bool:
        """The stream ended well: everything must have come. False: there are pictures that another attempt asks for."""
        if not self._admitted or not (self._completed or self.request.validate_only):
            raise BrokenStreamError("the stream ended before all was told")
        return self.request.validate_only or not self._missing()

    def _accept(self, accepted: pb.Accepted) -> events.Accepted | None:
        self._admitted = True
        if self._alone is not None:
            return None
        self._whole = accepted
        return events.Accepted(
            request=accepted.request,
            evaluations=accepted.evaluations,
            queue_position=accepted.queue_position,
            warnings=tuple(accepted.warnings),
            estimated_wait=_optional(accepted, "estimated_wait"),
            estimated_total=_optional(accepted, "estimated_total"),
            prompts=tuple(accepted.prompts),
            job_ids=tuple(accepted.job_ids),
        )

    def _progress(self, progress: pb.Progress) -> events.Progress | None:
        index = self._index(progress.image_index)
        if index in self._done:
            return None
        return events.Progress(
            image_index=index,
            step=progress.step,
            steps=progress.steps,
            evaluations_done=progress.evaluations_done,
            evaluations_total=progress.evaluations_total,
            queue_position=progress.queue_position,
            eta=_optional(progress, "eta"),
        )

    def _preview(self, seen: pb.Preview) -> events.Preview | None:
        index = self._index(seen.image_index)
        if index in self._done:
            return None
        return events.Preview(index, seen.data, seen.mime, seen.width, seen.height, seen.step)

    def _parked(self, parked: resume_pb2.Parked) -> events.Parked | None:
        index = self._index(parked.image_index)
        if index in self._done:
            return None
        # Without one of its own the last checkpoint is the newest.
        if parked.resume_token:
            self._tokens[index] = parked.resume_token
        return events.Parked(index, parked.resume_token, parked.evaluations_done, parked.evaluations_total)

    def _checkpoint(self, checkpoint: resume_pb2.Checkpoint) -> events.Checkpoint | None:
        index = self._index(checkpoint.image_index)
        if index in self._done:
            return None
        self._tokens[index] = checkpoint.resume_token
        return events.Checkpoint(index, checkpoint.resume_token, checkpoint.evaluations_done)

    def _chunk(self, chunk: pb.ImageChunk) -> events.Image | None:
        index = self._index(chunk.image_index)
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
        self._tokens.pop(index, None)
        return events.Image(index, data, chunk.mime, chunk.width, chunk.height, chunk.seed, chunk.sha256)

    def _complete(self, completed: pb.Completed) -> events.Completed | None:
        missing = self._missing()
        if missing and self._alone in (None, *missing):
            raise BrokenStreamError(f"{len(self._done)} pictures came, and not {missing}")
        self._completed = True
        self._evaluations += completed.evaluations
        if completed.HasField("cost"):
            self._cost = self._cost or statistics_pb2.Cost()
            self._cost.row_evaluations += completed.cost.row_evaluations
            self._cost.device_seconds += completed.cost.device_seconds
        return None if missing else _completed(completed, self._evaluations, self._cost)


def _completed(
    message: pb.Completed | pb.GenerateImageResponse, evaluations: int, cost: statistics_pb2.Cost | None
) -> events.Completed:
    return events.Completed(
        timings=_timings(message.timings),
        evaluations=evaluations,
        cost=None if cost is None else events.Cost(cost.row_evaluations, cost.device_seconds),
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
            prompts=self._accepted.prompts,
        )


def unary_result(response: pb.GenerateImageResponse) -> events.Result:
    """What GenerateImage answered, checked."""
    images = []
    cost = response.cost if response.HasField("cost") else None
    for index, image in enumerate(response.images):
        check_picture(index, image.data, image.sha256)
        images.append(events.Image(index, image.data, image.mime, image.width, image.height, image.seed, image.sha256))
    return events.Result(
        images=tuple(images),
        request=response.request,
        warnings=tuple(response.warnings),
        completed=_completed(response, response.evaluations, cost) if response.HasField("timings") else None,
        estimated_wait=_optional(response, "estimated_wait"),
        estimated_total=_optional(response, "estimated_total"),
        prompts=tuple(response.prompts),
    )
