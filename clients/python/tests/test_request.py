"""Keyword arguments, pictures and addresses; no server."""

from __future__ import annotations

import io
import pathlib
from typing import get_type_hints

import PIL.Image
import pytest

from stepcast import _request
from stepcast._connection import addresses_of, target_of
from stepcast._request import RequestOptions, make_request
from stepcast.v1 import adapters_pb2, input_picture_pb2, output_pb2, sampling_pb2
from stepcast.v1 import image_generation_pb2 as pb


def test_the_options_are_the_fields_of_the_contract() -> None:
    fields = set(pb.GenerateRequest.DESCRIPTOR.fields_by_name) - {"prompt", "sent_pictures"}
    assert set(get_type_hints(RequestOptions)) == fields
    messages = {
        _request.SizeConditioning: pb.SizeConditioning,
        _request.SamplerOptions: sampling_pb2.SamplerOptions,
        _request.LangevinOptions: sampling_pb2.LangevinOptions,
        _request.InpaintOptions: input_picture_pb2.InpaintOptions,
        _request.LoraInput: adapters_pb2.LoraInput,
        _request.ControlInput: input_picture_pb2.ControlInput,
        _request.OutputOptions: output_pb2.OutputOptions,
        _request.PreviewOptions: output_pb2.PreviewOptions,
    }
    for options, message in messages.items():
        assert set(get_type_hints(options)) == set(message.DESCRIPTOR.fields_by_name)


def test_options_become_fields() -> None:
    picture = PIL.Image.new("RGB", (8, 8), "red")
    request = make_request(
        "a red apple",
        {
            "seed": 0,
            "steps": None,
            "sampler": "Euler_Ancestral",
            "priority": "batch",
            "output": "jpeg",
            "preview": 5,
            "sampler_options": {"langevin": {"levels": 3}},
            "inpaint": {"fill": "noise"},
            "timesteps": (9, 5, 1),
            "control": [{"image": picture, "scale": 0.5}],
            "init_image": picture,
            "mask_image": PIL.Image.new("1", (8, 8)),
        },
    )
    assert request.HasField("seed")
    assert not request.HasField("steps")
    assert request.sampler == sampling_pb2.SAMPLER_EULER_ANCESTRAL
    assert request.output.format == output_pb2.IMAGE_FORMAT_JPEG
    assert request.preview.every_n_steps == 5
    assert request.sampler_options.langevin.levels == 3
    assert request.inpaint.fill == input_picture_pb2.INPAINT_FILL_NOISE
    assert list(request.timesteps) == [9, 5, 1]
    assert request.control[0].image == request.init_image
    assert PIL.Image.open(io.BytesIO(request.init_image)).getpixel((0, 0)) == (255, 0, 0)


def test_a_whole_request_is_copied_and_options_win() -> None:
    whole = pb.GenerateRequest(prompt="x", seed=1, timesteps=[3, 2])
    request = make_request(whole, {"seed": 2, "timesteps": [5]})
    assert (request.prompt, request.seed, list(request.timesteps)) == ("x", 2, [5])
    assert whole.seed == 1


def test_pictures_come_from_files_bytes_and_pillow(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.png"
    PIL.Image.new("CMYK", (4, 4)).convert("RGB").save(path)
    for picture in (path, str(path), path.read_bytes()):
        assert make_request(None, {"init_image": picture}).init_image == path.read_bytes()
    converted = make_request(None, {"init_image": PIL.Image.new("CMYK", (4, 4))}).init_image
    assert PIL.Image.open(io.BytesIO(converted)).mode == "RGB"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "oiler"}, "sampler: got 'oiler'; allowed: ddpm, ddim"),
        ({"colour": 1}, "colour: no such field"),
        ({"inpaint": {"colour": 1}}, "inpaint.colour: no such field"),
        ({"control": [{"image": 5}]}, r"control\[0\].image: got int"),
        ({"steps": "many"}, "steps: "),
        ({"steps": 2**40}, "steps: "),
    ],
)
def test_what_no_request_can_hold_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make_request("x", options)


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("host", "host:50051"),
        ("host:1", "host:1"),
        ("http://host:1/", "host:1"),
        ("grpc://host", "host:50051"),
        ("[::1]", "[::1]:50051"),
        ("[::1]:5", "[::1]:5"),
        ("::1", "[::1]:50051"),
        ("unix:/run/s.sock", "unix:/run/s.sock"),
    ],
)
def test_addresses(address: str, target: str) -> None:
    assert target_of(address) == target


def test_several_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    assert addresses_of("a, b:2") == ["a:50051", "b:2"]
    monkeypatch.setenv("STEPCAST_HOST", "c")
    assert addresses_of(None) == ["c:50051"]
    for wrong in ([], "", "a,,b"):
        with pytest.raises(ValueError, match="address"):
            addresses_of(wrong if wrong != "" else [""])
