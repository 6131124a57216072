"""The original layout of Stable Diffusion checkpoints in one file: names and shapes, and the way there from diffusers' layout."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass
class Sizes:
    """Sizes of a checkpoint. The defaults are Stable Diffusion 1's."""

    in_channels: int = 4
    channels: list[int] = field(default_factory=lambda: [320, 640, 1280, 1280])
    depths: list[int] = field(default_factory=lambda: [1, 1, 1, 0])
    mid_depth: int = 1
    layers: int = 2
    context: int = 768
    linear: bool = False
    vector: int = 0
    vae_channels: list[int] = field(default_factory=lambda: [32, 64])
    clip_layers: int = 12
    clip_width: int = 768
    clip_prefix: str = "cond_stage_model.transformer.text_model."
    open_layers: int = 0
    open_width: int = 1024
    open_prefix: str = "cond_stage_model.model."
    tokens: int = 16


class Shapes(dict):
    """Name -> shape, with the recurring pieces of the networks."""

    def weighted(self, scope: str, *shape: int) -> None:
        self[scope + ".weight"] = list(shape)
        self[scope + ".bias"] = [shape[0]]

    def resnet(self, scope: str, before: int, after: int, time: int) -> None:
        self.weighted(scope + ".in_layers.0", before)
        self.weighted(scope + ".in_layers.2", after, before, 3, 3)
        self.weighted(scope + ".emb_layers.1", after, time)
        self.weighted(scope + ".out_layers.0", after)
        self.weighted(scope + ".out_layers.3", after, after, 3, 3)
        if before != after:
            self.weighted(scope + ".skip_connection", after, before, 1, 1)

    def transformer(self, scope: str, width: int, depth: int, sizes: Sizes) -> None:
        projection = (width, width) if sizes.linear else (width, width, 1, 1)
        self.weighted(scope + ".norm", width)
        self.weighted(scope + ".proj_in", *projection)
        self.weighted(scope + ".proj_out", *projection)
        for i in range(depth):
            block = f"{scope}.transformer_blocks.{i}"
            for attention, context in (("attn1", width), ("attn2", sizes.context)):
                self[f"{block}.{attention}.to_q.weight"] = [width, width]
                self[f"{block}.{attention}.to_k.weight"] = [width, context]
                self[f"{block}.{attention}.to_v.weight"] = [width, context]
                self.weighted(f"{block}.{attention}.to_out.0", width, width)
            for norm in ("norm1", "norm2", "norm3"):
                self.weighted(f"{block}.{norm}", width)
            self.weighted(f"{block}.ff.net.0.proj", 8 * width, width)
            self.weighted(f"{block}.ff.net.2", width, 4 * width)

    def unet(self, sizes: Sizes) -> None:
        p, first = "model.diffusion_model.", sizes.channels[0]
        time = 4 * first
        self.weighted(p + "time_embed.0", time, first)
        self.weighted(p + "time_embed.2", time, time)
        if sizes.vector:
            self.weighted(p + "label_emb.0.0", time, sizes.vector)
            self.weighted(p + "label_emb.0.2", time, time)
        self.weighted(p + "input_blocks.0.0", first, sizes.in_channels, 3, 3)
        skips, width, number = [first], first, 1
        for level, channels in enumerate(sizes.channels):
            for _ in range(sizes.layers):
                self.resnet(f"{p}input_blocks.{number}.0", width, channels, time)
                width = channels
                if sizes.depths[level]:
                    self.transformer(f"{p}input_blocks.{number}.1", width, sizes.depths[level], sizes)
                skips.append(width)
                number += 1
            if level + 1 < len(sizes.channels):
                self.weighted(f"{p}input_blocks.{number}.0.op", width, width, 3, 3)
                skips.append(width)
                number += 1
        self.resnet(p + "middle_block.0", width, width, time)
        self.transformer(p + "middle_block.1", width, sizes.mid_depth, sizes)
        self.resnet(p + "middle_block.2", width, width, time)
        number = 0
        for level in reversed(range(len(sizes.channels))):
            for layer in range(sizes.layers + 1):
                self.resnet(f"{p}output_blocks.{number}.0", width + skips.pop(), sizes.channels[level], time)
                width = sizes.channels[level]
                if sizes.depths[level]:
                    self.transformer(f"{p}output_blocks.{number}.1", width, sizes.depths[level], sizes)
                if level and layer == sizes.layers:
                    self.weighted(f"{p}output_blocks.{number}.{2 if sizes.depths[level] else 1}.conv", width, width, 3, 3)
                number += 1
        self.weighted(p + "out.0", first)
        self.weighted(p + "out.2", 4, first, 3, 3)

    def vae_resnet(self, scope: str, before: int, after: int) -> None:
        self.weighted(scope + ".norm1", before)
        self.weighted(scope + ".conv1", after, before, 3, 3)
        self.weighted(scope + ".norm2", after)
        self.weighted(scope + ".conv2", after, after, 3, 3)
        if before != after:
            self.weighted(scope + ".nin_shortcut", after, before, 1, 1)

    def vae_half(self, scope: str, sizes: Sizes, decoder: bool) -> None:
        levels, way, move = sizes.vae_channels, "up" if decoder else "down", "upsample" if decoder else "downsample"
        width = levels[-1] if decoder else levels[0]
        low = levels[-1]
        self.weighted(scope + "conv_in", width, 4 if decoder else 3, 3, 3)
        for level in reversed(range(len(levels))) if decoder else range(len(levels)):
            for layer in range(3 if decoder else 2):
                self.vae_resnet(f"{scope}{way}.{level}.block.{layer}", width, levels[level])
                width = levels[level]
            if level != (0 if decoder else len(levels) - 1):
                self.weighted(f"{scope}{way}.{level}.{move}.conv", width, width, 3, 3)
        self.vae_resnet(scope + "mid.block_1", low, low)
        self.weighted(scope + "mid.attn_1.norm", low)
        for part in ("q", "k", "v", "proj_out"):
            self.weighted(f"{scope}mid.attn_1.{part}", low, low, 1, 1)
        self.vae_resnet(scope + "mid.block_2", low, low)
        self.weighted(scope + "norm_out", width)
        self.weighted(scope + "conv_out", 3 if decoder else 8, width, 3, 3)

    def clip(self, sizes: Sizes) -> None:
        p, width = sizes.clip_prefix, sizes.clip_width
        self[p + "embeddings.position_ids"] = [1, 77]
        self[p + "embeddings.token_embedding.weight"] = [sizes.tokens, width]
        self[p + "embeddings.position_embedding.weight"] = [77, width]
        for i in range(sizes.clip_layers):
            layer = f"{p}encoder.layers.{i}"
            for part in ("q", "k", "v", "out"):
                self.weighted(f"{layer}.self_attn.{part}_proj", width, width)
            self.weighted(layer + ".layer_norm1", width)
            self.weighted(layer + ".layer_norm2", width)
            self.weighted(layer + ".mlp.fc1", 4 * width, width)
            self.weighted(layer + ".mlp.fc2", width, 4 * width)
        self.weighted(p + "final_layer_norm", width)

    def open_clip(self, sizes: Sizes) -> None:
        p, width = sizes.open_prefix, sizes.open_width
        self[p + "token_embedding.weight"] = [sizes.tokens, width]
        self[p + "positional_embedding"] = [77, width]
        for i in range(sizes.open_layers):
            layer = f"{p}transformer.resblocks.{i}"
            self[layer + ".attn.in_proj_weight"] = [3 * width, width]
            self[layer + ".attn.in_proj_bias"] = [3 * width]
            self.weighted(layer + ".attn.out_proj", width, width)
            self.weighted(layer + ".ln_1", width)
            self.weighted(layer + ".ln_2", width)
            self.weighted(layer + ".mlp.c_fc", 4 * width, width)
            self.weighted(layer + ".mlp.c_proj", width, 4 * width)
        self.weighted(p + "ln_final", width)
        self[p + "text_projection"] = [width, width]
        self[p + "logit_scale"] = []


def checkpoint_shapes(sizes: Sizes) -> dict[str, list[int]]:
    """Original name -> shape of every tensor of a checkpoint of these sizes."""
    shapes = Shapes()
    shapes.unet(sizes)
    for half in ("encoder", "decoder"):
        shapes.vae_half(f"first_stage_model.{half}.", sizes, decoder=half == "decoder")
    shapes.weighted("first_stage_model.quant_conv", 8, 8, 1, 1)
    shapes.weighted("first_stage_model.post_quant_conv", 4, 4, 1, 1)
    if sizes.clip_layers:
        shapes.clip(sizes)
    if sizes.open_layers:
        shapes.open_clip(sizes)
    return dict(shapes)


UNET_ENDS = [("conv_in.", "input_blocks.0.0."), ("time_embedding.linear_1.", "time_embed.0."), ("time_embedding.linear_2.", "time_embed.2."),
             ("time_embedding.cond_proj.", "time_embed.cond_proj."), ("add_embedding.linear_1.", "label_emb.0.0."),
             ("add_embedding.linear_2.", "label_emb.0.2."), ("conv_norm_out.", "out.0."), ("conv_out.", "out.2."),
             ("mid_block.resnets.0.", "middle_block.0."), ("mid_block.attentions.0.", "middle_block.1."), ("mid_block.resnets.1.", "middle_block.2.")]
UNET_RESNET = [("norm1.", "in_layers.0."), ("conv1.", "in_layers.2."), ("time_emb_proj.", "emb_layers.1."), ("norm2.", "out_layers.0."),
               ("conv2.", "out_layers.3."), ("conv_shortcut.", "skip_connection.")]
OPEN_CLIP = [("layer_norm1.", "ln_1."), ("layer_norm2.", "ln_2."), ("mlp.fc1.", "mlp.c_fc."), ("mlp.fc2.", "mlp.c_proj."),
             ("self_attn.out_proj.", "attn.out_proj.")]


def exchanged(name: str, table: list[tuple[str, str]]) -> str:
    for before, after in table:
        if name.startswith(before):
            return after + name[len(before):]
    return name


def unet_name(name: str, layers: int, attention: set[tuple[str, int]]) -> str:
    """diffusers' name of a U-Net's tensor -> the original one. `attention`: the blocks that have it, as ("up", 1)."""
    match = re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)", name)
    if match is None:
        name = exchanged(name, UNET_ENDS)
        head = re.match(r"(middle_block\.[02]\.)(.*)", name)
        return "model.diffusion_model." + (head[1] + exchanged(head[2], UNET_RESNET) if head else name)
    way, block, kind, layer, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    scope = "input_blocks" if way == "down" else "output_blocks"
    number = block * (layers + 1) + (1 if way == "down" else 0)
    if kind == "downsamplers":
        return f"model.diffusion_model.{scope}.{number + layers}.0.op.{rest.removeprefix('conv.')}"
    if kind == "upsamplers":
        return f"model.diffusion_model.{scope}.{number + layers}.{2 if (way, block) in attention else 1}.{rest}"
    if kind == "resnets":
        return f"model.diffusion_model.{scope}.{number + layer}.0.{exchanged(rest, UNET_RESNET)}"
    return f"model.diffusion_model.{scope}.{number + layer}.1.{rest}"


def vae_name(name: str, levels: int) -> str:
    name = re.sub(r"decoder\.up_blocks\.(\d+)", lambda m: f"decoder.up.{levels - 1 - int(m[1])}", name)
    name = name.replace("down_blocks.", "down.").replace(".resnets.", ".block.").replace("conv_shortcut", "nin_shortcut")
    name = name.replace("downsamplers.0.", "downsample.").replace("upsamplers.0.", "upsample.").replace("conv_norm_out", "norm_out")
    name = name.replace("mid_block.block.0.", "mid.block_1.").replace("mid_block.block.1.", "mid.block_2.")
    name = name.replace("mid_block.attentions.0.", "mid.attn_1.")
    for before, after in (("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out")):
        name = name.replace(f"attn_1.{before}.", f"attn_1.{after}.")
    return "first_stage_model." + name


def open_clip_parts(shapes: dict[str, tuple[int, ...]], prefix: str) -> dict[str, tuple[list, list[int]]]:
    """A text tower's tensors as OpenCLIP keeps them: q, k and v in one, the projection the other way round."""
    made = {}
    fixed = {"embeddings.token_embedding.weight": "token_embedding.weight", "embeddings.position_embedding.weight": "positional_embedding",
             "final_layer_norm.weight": "ln_final.weight", "final_layer_norm.bias": "ln_final.bias", "text_projection.weight": "text_projection"}
    whole = {name.removeprefix("text_model."): name for name in shapes}
    for name, full in whole.items():
        shape = list(shapes[full])
        layer = re.match(r"encoder\.layers\.(\d+)\.(.*)", name)
        if name in fixed:
            made[prefix + fixed[name]] = ([(full, shape)], shape[::-1] if name == "text_projection.weight" else shape)
        elif layer is not None and re.match(r"self_attn\.[qkv]_proj\.", layer[2]):
            kind = name.rsplit(".", 1)[1]
            pieces = [(whole[f"encoder.layers.{layer[1]}.self_attn.{part}_proj.{kind}"], shape) for part in "qkv"]
            made[f"{prefix}transformer.resblocks.{layer[1]}.attn.in_proj_{kind}"] = (pieces, [3 * shape[0], *shape[1:]])
        elif layer is not None:
            made[f"{prefix}transformer.resblocks.{layer[1]}.{exchanged(layer[2], OPEN_CLIP)}"] = ([(full, shape)], shape)
    return made


def original_parts(component: str, config: dict, shapes: dict, family: str) -> dict[str, tuple[list, list[int]]]:
    """Original name -> ([(name in diffusers' layout, shape)], original shape) of one component. `family`: sd1, sd2, sdxl."""
    if component == "unet":
        blocks = {"down": config["down_block_types"], "up": config["up_block_types"]}
        attention = {(way, i) for way, types in blocks.items() for i, kind in enumerate(types) if "CrossAttn" in kind}
        return {unet_name(name, config["layers_per_block"], attention): ([(name, list(shape))], list(shape)) for name, shape in shapes.items()}
    if component == "vae":
        made = {}
        for name, shape in shapes.items():
            as_convolution = re.search(r"attentions\.0\.to_.*weight", name) is not None
            made[vae_name(name, len(config["block_out_channels"]))] = ([(name, list(shape))], list(shape) + [1, 1] * as_convolution)
        return made
    clip = {"sd1": "cond_stage_model.transformer.text_model.", "sdxl": "conditioner.embedders.0.transformer.text_model."}.get(family)
    if component == "text_encoder" and clip is not None:
        return {clip + name.removeprefix("text_model."): ([(name, list(shape))], list(shape)) for name, shape in shapes.items()}
    return open_clip_parts(shapes, "cond_stage_model.model." if family == "sd2" else "conditioner.embedders.1.model.")


def original_state(components: dict, family: str) -> dict:
    """The tensors of modules ({component: module}) under their original names."""
    import torch

    state = {}
    for component, module in components.items():
        tensors = module.state_dict()
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        for original, (pieces, shape) in original_parts(component, dict(module.config.to_dict() if hasattr(module.config, "to_dict") else module.config), shapes, family).items():
            joined = torch.cat([tensors[name] for name, _ in pieces]) if len(pieces) > 1 else tensors[pieces[0][0]]
            state[original] = (joined.t() if original.endswith("text_projection") else joined.reshape(shape)).contiguous()
    return state
