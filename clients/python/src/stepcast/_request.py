"""Keyword arguments to a GenerateRequest. Names and meanings are those of the contract, proto/stepcast/v1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from stepcast._pictures import Picture, picture_bytes
from stepcast.v1 import image_generation_pb2 as pb

Format = Literal["png", "jpeg", "webp"]


class SizeConditioning(TypedDict, total=False):
    original_width: int
    original_height: int
    crop_left: int
    crop_top: int
    target_width: int
    target_height: int
    aesthetic_score: float
    negative_aesthetic_score: float
    negative_original_width: int
    negative_original_height: int
    negative_crop_left: int
    negative_crop_top: int
    negative_target_width: int
    negative_target_height: int


class LangevinOptions(TypedDict, total=False):
    levels: int
    inner_steps: int
    epsilon: float
    final_denoise: bool


class SamplerOptions(TypedDict, total=False):
    solver_order: int
    churn: float
    s_noise: float
    original_inference_steps: int
    langevin: LangevinOptions


class InpaintOptions(TypedDict, total=False):
    blur: float
    only_masked: bool
    padding: int
    invert: bool
    fill: Literal["original", "noise"]
    blend_domain: Literal["latents", "x0"]
    differential: bool


class ControlInput(TypedDict, total=False):
    model: str
    image: Picture
    scale: float
    start: float
    end: float
    control_type: int
    guess_mode: bool


class OutputOptions(TypedDict, total=False):
    format: Format
    quality: int
    embed_parameters: bool


class PreviewOptions(TypedDict, total=False):
    every_n_steps: int
    max_side: int
    format: Format


class LoraInput(TypedDict, total=False):
    """LoraInput of the contract: name is required."""

    name: str
    scale: float
    text_scale: float


class RequestOptions(TypedDict, total=False):
    """Every field of GenerateRequest but the prompt. None is as good as left out.

    Enum values are the contract's names without their prefix, in any case: `sampler="euler"`. `output="jpeg"` and
    `preview=5` are short for `output={"format": "jpeg"}` and `preview={"every_n_steps": 5}`.
    """

    model: str | None
    negative_prompt: str | None
    seed: int | None
    image_count: int | None
    width: int | None
    height: int | None
    steps: int | None
    guidance_scale: float | None
    sampler: str | int | None
    class_index: int | None
    class_label: str | None
    clip_skip: int | None
    prompt_syntax: Literal["plain", "a1111", "a1111_no_norm"] | None
    prompt_2: str | None
    negative_prompt_2: str | None
    size_conditioning: SizeConditioning | None
    guidance_rescale: float | None
    guidance_start: float | None
    guidance_end: float | None
    classifier_scale: float | None
    image_guidance_scale: float | None
    sigma_schedule: str | int | None
    timestep_spacing: str | int | None
    eta: float | None
    sampler_options: SamplerOptions | None
    timesteps: Sequence[float] | None
    sigmas: Sequence[float] | None
    init_image: Picture | None
    mask_image: Picture | None
    strength: float | None
    resize_mode: Literal["exact", "fit", "cover", "stretch"] | None
    inpaint: InpaintOptions | None
    invert: bool | None
    loras: Sequence[LoraInput] | None
    control: Sequence[ControlInput] | None
    output: OutputOptions | Format | None
    preview: PreviewOptions | int | None
    vae_tiling: bool | None
    priority: Literal["interactive", "standard", "batch"] | None
    validate_only: bool | None
    resume_token: bytes | None
    checkpoint_every: int | None


def make_request(prompt: str | pb.GenerateRequest | None, options: Mapping[str, Any]) -> pb.GenerateRequest:
    """A request of its own: `prompt` may be a whole request (of Accepted, or made by hand), over which options win."""
    request = pb.GenerateRequest()
    if isinstance(prompt, pb.GenerateRequest):
        request.CopyFrom(prompt)
    elif prompt is not None:
        request.prompt = prompt
    values = {name: value for name, value in options.items() if value is not None}
    if isinstance(values.get("output"), str):
        values["output"] = {"format": values["output"]}
    if isinstance(values.get("preview"), int):
        values["preview"] = {"every_n_steps": values["preview"]}
    _fill(request, values, "")
    return request


def _fill(message: Message, values: Mapping[str, Any], path: str) -> None:
    """Sets fields by name, whatever the contract has: fields to come need no change here."""
    for name, value in values.items():
        field = message.DESCRIPTOR.fields_by_name.get(name)
        where = f"{path}{name}"
        if field is None:
            raise TypeError(f"{where}: no such field; allowed: {', '.join(message.DESCRIPTOR.fields_by_name)}")
        if field.is_repeated:
            _fill_repeated(message, field, value, where)
        elif field.message_type is not None:
            getattr(message, name).SetInParent()
            if isinstance(value, Message):
                getattr(message, name).CopyFrom(value)
            else:
                _fill(getattr(message, name), value, f"{where}.")
        else:
            _set(message, field, value, where)


def _fill_repeated(message: Message, field: Any, values: Any, where: str) -> None:
    message.ClearField(field.name)
    target = getattr(message, field.name)
    if field.message_type is None:
        target.extend(values)
        return
    for index, value in enumerate(values):
        if isinstance(value, Message):
            target.add().CopyFrom(value)
        else:
            _fill(target.add(), value, f"{where}[{index}].")


def _set(message: Message, field: Any, value: Any, where: str) -> None:
    if field.enum_type is not None and isinstance(value, str):
        value = _enum_value(field.enum_type, value, where)
    elif field.type == FieldDescriptor.TYPE_BYTES:
        value = picture_bytes(value, where)
    try:
        setattr(message, field.name, value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where}: {error}") from None


def _enum_value(enum: Any, text: str, where: str) -> int:
    # SAMPLER_UNSPECIFIED -> SAMPLER_
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    names: dict[str, int] = {value.name.removeprefix(prefix): value.number for value in enum.values if value.number}
    key = text.upper().removeprefix(prefix)
    if key not in names:
        raise ValueError(f"{where}: got {text!r}; allowed: {', '.join(name.lower() for name in names)}")
    return names[key]
