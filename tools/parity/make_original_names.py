"""Makes tests/model/fixtures/original_names: where diffusers' own converter puts each tensor of the original layouts.

Run with the Python packages of tools/train/requirements.txt:
    python tools/parity/make_original_names.py
Small checkpoints whose values say where they stood are converted by diffusers; a line is
"component/name = original name[first row:rows] T", without what is whole and without T where it is not transposed.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import torch
from diffusers.loaders import single_file_utils as reference
from original_layout import Sizes, checkpoint_shapes

TARGET = Path(__file__).resolve().parents[2] / "tests" / "model" / "fixtures" / "original_names"
CLIP, OPEN_CLIP = "cond_stage_model.transformer.", "cond_stage_model.model."
FAMILIES = {
    "sd1": Sizes(channels=[64, 128, 128], depths=[1, 1, 0], mid_depth=1, context=64, clip_layers=2, clip_width=64),
    "sd2": Sizes(channels=[64, 128, 128], depths=[1, 1, 0], mid_depth=1, context=64, linear=True, clip_layers=0,
                 open_layers=24, open_width=64),
    "sdxl": Sizes(channels=[64, 128, 128], depths=[0, 1, 2], mid_depth=2, context=128, linear=True, vector=1600,
                  clip_prefix="conditioner.embedders.0.transformer.text_model.", clip_layers=2, clip_width=64,
                  open_prefix="conditioner.embedders.1.model.", open_layers=2, open_width=64),
    "refiner": Sizes(channels=[64, 128, 128, 128], depths=[0, 1, 2, 0], mid_depth=2, context=64, linear=True, vector=1344,
                     clip_layers=0, open_prefix="conditioner.embedders.0.model.", open_layers=2, open_width=64),
}


def marked(shapes: dict[str, list[int]]) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Tensors of these shapes whose values are ((number of the name * 4096) + row) * 4096 + column."""
    names, tensors = list(shapes), {}
    for number, name in enumerate(names):
        shape = shapes[name]
        rows = shape[0] if shape else 1
        columns = shape[1] if len(shape) > 1 else 1
        value = (number * 4096.0 + torch.arange(rows, dtype=torch.float64)[:, None]) * 4096 + torch.arange(columns, dtype=torch.float64)
        extra = [1] * (len(shape) - 2)
        tensors[name] = value.reshape([rows, columns] + extra).expand([rows, columns] + shape[2:]).clone() if len(shape) > 1 else value.reshape(shape)
    return tensors, names


def line(component: str, name: str, tensor: torch.Tensor, names: list[str], shapes: dict[str, list[int]]) -> str:
    first = int(tensor.flatten()[0].item())
    original, row = names[first // 4096 // 4096], first // 4096 % 4096
    shape = shapes[original]
    rows = f"[{row}:{tensor.shape[0]}]" if shape and list(tensor.shape[:1]) != shape[:1] else ""
    transposed = tensor.dim() == 2 and int(tensor[0, 1].item()) // 4096 % 4096 == 1
    return f"{component}/{name} = {original}{rows}{' T' if transposed else ''}"


def convert(sizes: Sizes, tensors: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """Component -> what diffusers makes of it."""
    unet = {"layers_per_block": sizes.layers, "class_embed_type": None, "num_class_embeds": None,
            "addition_embed_type": "text_time" if sizes.vector else None}
    vae = {"down_block_types": [""] * len(sizes.vae_channels), "up_block_types": [""] * len(sizes.vae_channels)}
    made = {"unet": reference.convert_ldm_unet_checkpoint(dict(tensors), config=unet),
            "vae": reference.convert_ldm_vae_checkpoint(dict(tensors), config=vae)}
    text = SimpleNamespace(config=SimpleNamespace(hidden_size=sizes.open_width))
    if sizes.clip_layers:
        prefix = sizes.clip_prefix.removesuffix("text_model.")
        made["text_encoder"] = reference.convert_ldm_clip_checkpoint(dict(tensors), remove_prefix=prefix)
    if sizes.open_layers:
        name = "text_encoder_2" if sizes.vector else "text_encoder"
        made[name] = reference.convert_open_clip_checkpoint(text, dict(tensors), prefix=sizes.open_prefix)
    return made


def control_shapes(shapes: dict[str, list[int]]) -> dict[str, list[int]]:
    """A ControlNet beside a U-Net of these shapes, in the original layout."""
    unet = {name.removeprefix("model.diffusion_model."): shape for name, shape in shapes.items()
            if name.startswith("model.diffusion_model.")}
    control = {name: shape for name, shape in unet.items() if not name.startswith(("output_blocks.", "out."))}
    for i in range(1 + max(int(name.split(".")[1]) for name in control if name.startswith("input_blocks."))):
        ends = (f"input_blocks.{i}.0.out_layers.3.bias", f"input_blocks.{i}.0.op.bias", f"input_blocks.{i}.0.bias")
        width = next(control[end][0] for end in ends if end in control)
        control |= {f"zero_convs.{i}.0.weight": [width, width, 1, 1], f"zero_convs.{i}.0.bias": [width]}
    width = control["middle_block.2.out_layers.3.bias"][0]
    control |= {"middle_block_out.0.weight": [width, width, 1, 1], "middle_block_out.0.bias": [width]}
    widths = [3, 16, 16, 32, 32, 96, 96, 256, control["input_blocks.0.0.bias"][0]]
    for i in range(8):
        control[f"input_hint_block.{2 * i}.weight"] = [widths[i + 1], widths[i], 3, 3]
        control[f"input_hint_block.{2 * i}.bias"] = [widths[i + 1]]
    return {f"control_model.{name}": shape for name, shape in control.items()}


def write_control_names(family: str) -> None:
    shapes = control_shapes(checkpoint_shapes(FAMILIES[family]))
    tensors, names = marked(shapes)
    converted = reference.convert_controlnet_checkpoint(dict(tensors), {"layers_per_block": FAMILIES[family].layers})
    lines = [line("control", name, tensor, names, shapes) for name, tensor in converted.items()]
    (TARGET / f"control_{family}.txt").write_text("\n".join(sorted(lines)) + "\n", encoding="utf-8")
    print(f"control_{family}: {len(shapes)} tensors, {len(lines)} after conversion")


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    for family in ("sd1", "sd2"):
        write_control_names(family)
    for family, sizes in FAMILIES.items():
        shapes = checkpoint_shapes(sizes)
        tensors, names = marked(shapes)
        lines = []
        for component, converted in convert(sizes, tensors).items():
            for name, tensor in converted.items():
                name = name.removeprefix("text_model.")
                if not name.endswith("position_ids"):
                    lines.append(line(component, name, tensor, names, shapes))
        (TARGET / f"{family}.txt").write_text("\n".join(sorted(lines)) + "\n", encoding="utf-8")
        print(f"{family}: {len(shapes)} tensors, {len(lines)} after conversion")


if __name__ == "__main__":
    main()
