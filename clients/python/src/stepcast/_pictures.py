"""Pictures that go with a request."""

from __future__ import annotations

import io
import os
import pathlib

import PIL.Image

from stepcast.events import PictureFile

# A file's path or its bytes, a picture of Pillow, or one that the server has painted.
Picture = str | os.PathLike[str] | bytes | PIL.Image.Image | PictureFile


def picture_bytes(picture: object, name: str) -> bytes:
    """The bytes of a PNG, JPEG or WebP file; pictures of Pillow become PNG."""
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, PictureFile):
        return picture.data
    if isinstance(picture, PIL.Image.Image):
        buffer = io.BytesIO()
        plain = picture if picture.mode in ("1", "L", "LA", "P", "RGB", "RGBA") else picture.convert("RGB")
        plain.save(buffer, "PNG")
        return buffer.getvalue()
    if isinstance(picture, (str, os.PathLike)):
        return pathlib.Path(picture).read_bytes()
    raise TypeError(f"{name}: got {type(picture).__name__}; allowed: a path, bytes, a PIL image or a painted picture")
