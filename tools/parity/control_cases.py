"""ControlNets, and U-Nets with what those add, for make_layer_fixtures.py."""
from __future__ import annotations

import torch
from diffusers import ControlNetModel, ControlNetUnionModel, UNet2DConditionModel

from parity_case import Case


def flat(down, mid):
    """All residuals, one after the other."""
    return torch.cat([residual.flatten() for residual in (*down, mid)])


def conditions(draws, module, rows, size, width):
    """The inputs that every net of `rows` rows has: keyword arguments of its forward, and latents and timesteps."""
    x = draws.randn("x", rows, module.config.in_channels, *size)
    text = draws.randn("text", rows, 7, width)
    times = torch.linspace(999.0, 0.25, rows)
    draws.steps.append(["values", "input.timesteps", times.tolist()])
    extra = {}
    if module.config.addition_embed_type == "text_time":
        pooled = draws.randn("text_embeds", rows, 32)
        ids = torch.tensor([[64.0, 64.0, 0.0, 8.0, 64.0, 64.0]] * rows)
        draws.steps.append(["values", "input.time_ids", ids.flatten().tolist()])
        extra["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": ids}
    if module.config.num_class_embeds:
        labels = torch.arange(rows)
        draws.steps.append(["values", "input.class_labels", labels.tolist()])
        extra["class_labels"] = labels
    return x, times, text, extra


def pictures(draws, name, rows, size, factor):
    """Hints: normal, not in 0..1, which the network does not know."""
    return draws.randn(name, rows, 3, size[0] * factor, size[1] * factor)


def one_row(extra, row):
    """The conditioning of one of several rows."""
    if "added_cond_kwargs" not in extra:
        return extra
    return {"added_cond_kwargs": {key: value[row:row + 1] for key, value in extra["added_cond_kwargs"].items()}}


def control_net(name, rows, size, width, *, scale=1.0, guess=False, seed=11, **arguments):
    """A ControlNet's residuals."""

    def run(draws, config_of):
        module = draws.own_init(ControlNetModel(**arguments), seed)
        x, times, text, extra = conditions(draws, module, rows, size, width)
        factor = 2 ** (len(module.config.conditioning_embedding_out_channels) - 1)
        hint = pictures(draws, "hint", rows, size, factor)
        down, mid = module(x, times, text, controlnet_cond=hint, conditioning_scale=scale, guess_mode=guess,
                           return_dict=False, **extra)
        return flat(down, mid), dict(config_of(module), scales=[scale], guess=guess)

    return Case(name, "control_net", run)


def control_union(name, rows, size, width, types, *, scales=(1.0,), guess=False, seed=12, **arguments):
    """A union net's residuals; row by row, because the reference's attention runs over its batch."""

    def run(draws, config_of):
        module = draws.own_init(ControlNetUnionModel(**arguments), seed)
        x, times, text, extra = conditions(draws, module, rows, size, width)
        factor = 2 ** (len(module.config.conditioning_embedding_out_channels) - 1)
        hints = [pictures(draws, f"hint{i or ''}", rows, size, factor) for i in range(len(types))]
        control_type = torch.zeros(1, module.config.num_control_type)
        control_type[0, list(types)] = 1
        each = []
        for row in range(rows):
            at = slice(row, row + 1)
            each.append(module(x[at], times[at], text[at], controlnet_cond=[hint[at] for hint in hints],
                               control_type=control_type, control_type_idx=list(types), conditioning_scale=list(scales),
                               guess_mode=guess, return_dict=False, **one_row(extra, row)))
        down = [torch.cat(rows_of) for rows_of in zip(*(result[0] for result in each))]
        mid = torch.cat([result[1] for result in each])
        return flat(down, mid), dict(config_of(module), scales=list(scales), guess=guess, types=list(types))

    return Case(name, "control_net", run)


def controlled_unet(name, rows, size, width, *, seed=13, **arguments):
    """A U-Net with residuals of any numbers."""

    def run(draws, config_of):
        module = draws.own_init(UNet2DConditionModel(**arguments), seed)
        x, times, text, extra = conditions(draws, module, rows, size, width)
        with torch.random.fork_rng():  # only the shapes matter
            net = ControlNetModel.from_unet(module, load_weights_from_unet=False)
            down, mid = net(x, times, text, controlnet_cond=torch.zeros(rows, 3, 8 * size[0], 8 * size[1]),
                            return_dict=False, **extra)
        down = [draws.randn(f"down{i}", *residual.shape) for i, residual in enumerate(down)]
        mid = draws.randn("mid", *mid.shape)
        return module(x, times, text, down_block_additional_residuals=down, mid_block_additional_residual=mid,
                      **extra).sample, config_of(module)

    return Case(name, "controlled_unet", run)


def all_cases():
    sd1 = dict(block_out_channels=(4, 8), layers_per_block=1, cross_attention_dim=8, norm_num_groups=2,
               attention_head_dim=2, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
               conditioning_embedding_out_channels=(4, 8))
    sd2 = dict(block_out_channels=(32, 64), layers_per_block=2, cross_attention_dim=32, attention_head_dim=(2, 4),
               use_linear_projection=True, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"))
    sdxl = dict(block_out_channels=(4, 8, 8), layers_per_block=2, attention_head_dim=(1, 2, 4), norm_num_groups=2,
                cross_attention_dim=16, use_linear_projection=True, addition_embed_type="text_time",
                addition_time_embed_dim=8, transformer_layers_per_block=(1, 2, 3),
                projection_class_embeddings_input_dim=80, conditioning_embedding_out_channels=(3, 4, 5, 6),
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"))
    odd = dict(sd1, block_out_channels=(8, 16, 16), norm_num_groups=4, flip_sin_to_cos=False, freq_shift=1,
               downsample_padding=0, mid_block_scale_factor=1.25, act_fn="mish", norm_eps=1e-6, num_class_embeds=5,
               resnet_time_scale_shift="scale_shift", only_cross_attention=(True, False, False), in_channels=3,
               mid_block_type="UNetMidBlock2D",
               down_block_types=("CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"))
    union = dict(sdxl, num_control_type=5, num_trans_channel=4, num_proj_channel=4, num_trans_head=2,
                 num_trans_layer=2)
    unet_sd1 = {key: value for key, value in sd1.items() if key != "conditioning_embedding_out_channels"}
    unet_sdxl = {key: value for key, value in sdxl.items() if key != "conditioning_embedding_out_channels"}
    return [
        control_net("control_sd1", 2, (8, 8), 8, scale=0.7, **sd1),
        control_net("control_sd1_guess", 2, (8, 8), 8, scale=1.5, guess=True, **sd1),
        control_net("control_sd1_bgr", 1, (8, 6), 8, controlnet_conditioning_channel_order="bgr", **sd1),
        control_net("control_sd1_pooled", 2, (8, 8), 8, scale=0.7, guess=True, global_pool_conditions=True, **sd1),
        control_net("control_sd2_odd_size", 1, (5, 7), 32, **sd2),
        control_net("control_sdxl", 2, (8, 8), 16, scale=0.6, **sdxl),
        control_net("control_every_option", 2, (8, 12), 8, **odd),
        control_union("control_union", 2, (8, 8), 16, (3,), scales=(0.7,), **union),
        control_union("control_union_guess", 2, (8, 8), 16, (0,), scales=(0.7,), guess=True, **union),
        control_union("control_union_two", 2, (8, 8), 16, (1, 4), scales=(0.7, 1.2), **union),
        control_union("control_union_two_guess", 1, (8, 8), 16, (4, 0), scales=(0.5, 0.0), guess=True, **union),
        controlled_unet("controlled_unet_sd1", 3, (8, 6), 8, sample_size=8,
                        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), **unet_sd1),
        controlled_unet("controlled_unet_sdxl", 2, (9, 8), 16, sample_size=8,
                        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), **unet_sdxl),
    ]
