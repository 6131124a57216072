"""What a call tells: the events of a stream, in the order in which they come, and the sum of them."""

from __future__ import annotations

import io
import os
import pathlib
from dataclasses import dataclass, field

import PIL.Image

from stepcast.v1 import image_generation_pb2 as pb
from stepcast.v1 import prompt_pb2


@dataclass(frozen=True)
class PictureFile:
    """A picture as the bytes of a file. Notebooks show it."""

    image_index: int
    data: bytes = field(repr=False)
    mime: str
    width: int
    height: int

    def pil(self) -> PIL.Image.Image:
        """The decoded picture."""
        image = PIL.Image.open(io.BytesIO(self.data))
        image.load()
        return image

    def save(self, path: str | os.PathLike[str]) -> pathlib.Path:
        """Writes the bytes as they came; the name's ending does not convert them."""
        target = pathlib.Path(path)
        target.write_bytes(self.data)
        return target

    def _repr_png_(self) -> bytes | None:
        if self.mime == "image/jpeg":
            return None
        if self.mime == "image/png":
            return self.data
        buffer = io.BytesIO()
        self.pil().save(buffer, "PNG")
        return buffer.getvalue()

    def _repr_jpeg_(self) -> bytes | None:
        return self.data if self.mime == "image/jpeg" else None


@dataclass(frozen=True)
class Accepted:
    """The request was admitted. Always first; comes again when the call was taken up and paints everything anew.

    `request` has every default filled in, seed included: sent again it asks for the same pictures. Estimates are in
    seconds. `job_ids` are what the scheduler's ticks call the pictures, in order of their index; one that is taken up
    elsewhere has another there. `prompts` tells how long each prompt is, of text models.
    """

    request: pb.GenerateRequest
    evaluations: int
    queue_position: int
    warnings: tuple[str, ...]
    estimated_wait: float | None
    estimated_total: float | None
    prompts: tuple[prompt_pb2.PromptLength, ...] = ()
    job_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Progress:
    """A picture moved on, or still waits. `eta` is seconds, None until there is a pace."""

    image_index: int
    step: int
    steps: int
    evaluations_done: int
    evaluations_total: int
    queue_position: int
    eta: float | None


@dataclass(frozen=True)
class Preview(PictureFile):
    """A look at an unfinished picture after `step` steps."""

    step: int


@dataclass(frozen=True)
class Image(PictureFile):
    """A finished picture, whole and checked."""

    seed: int
    sha256: str


@dataclass(frozen=True)
class Parked:
    """A picture that the server hands back unfinished, because it stops. The client goes on elsewhere by itself."""

    image_index: int
    resume_token: bytes = field(repr=False)
    evaluations_done: int
    evaluations_total: int


@dataclass(frozen=True)
class Checkpoint:
    """A picture as it is after `checkpoint_every` further evaluations: what is gone on with when the server dies."""

    image_index: int
    resume_token: bytes = field(repr=False)
    evaluations_done: int


@dataclass(frozen=True)
class Timings:
    """Where the time went. Seconds."""

    queued: float
    encode: float
    denoise: float
    decode: float
    total: float


@dataclass(frozen=True)
class Cost:
    """What the pictures themselves took, whatever company they had: rows of denoiser forwards, seconds of a device."""

    row_evaluations: int
    device_seconds: float


@dataclass(frozen=True)
class Completed:
    """All pictures are done. Always last.

    Of a call that went on elsewhere `evaluations` and `cost` count what the attempts that ended well did. `cost` is
    None where the server does not tell.
    """

    timings: Timings
    evaluations: int
    denoise_ticks: int
    mean_rows: float
    model_sha256: str
    cost: Cost | None = None


Event = Accepted | Progress | Preview | Image | Parked | Checkpoint | Completed


@dataclass(frozen=True)
class Result:
    """What a whole call came to. After `validate_only` without pictures, and with `completed` None."""

    images: tuple[Image, ...]
    request: pb.GenerateRequest
    warnings: tuple[str, ...]
    completed: Completed | None
    estimated_wait: float | None = None
    estimated_total: float | None = None
    prompts: tuple[prompt_pb2.PromptLength, ...] = ()

    @property
    def image(self) -> Image:
        """The first picture."""
        return self.images[0]

    def _repr_png_(self) -> bytes | None:
        return self.images[0]._repr_png_() if self.images else None

    def _repr_jpeg_(self) -> bytes | None:
        return self.images[0]._repr_jpeg_() if self.images else None
