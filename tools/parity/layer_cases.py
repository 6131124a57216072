"""The networks that make_layer_fixtures.py runs: diffusers' layers and blocks, and whole tiny models."""
from __future__ import annotations

import pathlib
import sys

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel, UNet2DModel
from diffusers.models import resnet, unets
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from autoencoder_cases import tiled_and_tiny_list
from parity_case import Case

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "train"))
from digits.architecture import LatentClassifier  # noqa: E402
from digits.classifier import log_probability_gradient  # noqa: E402

blocks = unets.unet_2d_blocks


def layer(name, kind, size, build, published, *, config, channels=32, with_temb=False, context=None):
    """A layer whose input is drawn before its weights, as in diffusers' layer tests."""

    def run(draws, config_of):
        del config_of
        draws.seed(0)
        x = draws.randn("x", 1, channels, size, size)
        temb = draws.randn("temb", 1, 128) if with_temb else None
        module = draws.default_init(build)
        if context:
            output = module(x, draws.randn("context", *context)).sample
        elif isinstance(module, Transformer2DModel):
            output = module(x).sample
        elif with_temb:
            output = module(x, temb)
        else:
            output = module(x)
        return output, config

    return Case(name, kind, run, published)


def block(name, kind, build, published, *, config, takes_skip=False, with_temb=True):
    """A U-Net block, as in diffusers' block tests: 32 channels throughout, 4 rows of 32x32, temb 128."""

    def run(draws, config_of):
        del config_of
        draws.seed(0)
        x = draws.randn("x", 4, 32, 32, 32)
        temb = draws.randn("temb", 4, 128) if with_temb else None
        arguments = {"temb": temb} if with_temb else {}
        if takes_skip:
            draws.seed(1)
            arguments["res_hidden_states_tuple"] = (draws.randn("skip", 4, 32, 32, 32),)
        module = draws.default_init(build)
        output = module(x, **arguments)
        return (output[0] if isinstance(output, tuple) else output), config

    return Case(name, kind, run, published)


def unet(name, rows, size, width, *, seed=3, **arguments):
    """A whole U-Net, rows at different (fractional) timesteps."""

    def run(draws, config_of):
        module = draws.own_init(UNet2DConditionModel(**arguments), seed)
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
        if module.config.time_cond_proj_dim:
            scales = torch.linspace(1.5, 9.0, rows)
            draws.steps.append(["values", "input.guidance_scales", scales.tolist()])
            extra["timestep_cond"] = guidance_embedding(scales - 1, module.config.time_cond_proj_dim)
        if module.config.num_class_embeds:
            labels = torch.arange(rows)
            draws.steps.append(["values", "input.class_labels", labels.tolist()])
            extra["class_labels"] = labels
        return module(x, times, text, **extra).sample, config_of(module)

    return Case(name, "unet", run)


def unet_2d(name, rows, size, *, seed=6, **arguments):
    """A whole U-Net without text, rows at different (fractional) timesteps and of different classes."""

    def run(draws, config_of):
        module = draws.own_init(UNet2DModel(**arguments), seed)
        x = draws.randn("x", rows, module.config.in_channels, *size)
        times = torch.linspace(999.0, 0.25, rows)
        draws.steps.append(["values", "input.timesteps", times.tolist()])
        labels = None
        if module.config.num_class_embeds:
            labels = (module.config.num_class_embeds - 1 - torch.arange(rows)).clamp_min(0)
            draws.steps.append(["values", "input.class_labels", labels.tolist()])
        return module(x, times, labels).sample, config_of(module)

    return Case(name, "unet_2d", run)


def seeded_unet_2d(name, **arguments):
    """A U-Net as torch.manual_seed(0) makes it, which is what diffusers' tests of whole pipelines start from."""

    def run(draws, config_of):
        draws.seed(0)
        module = draws.default_init(lambda: UNet2DModel(**arguments))
        side = module.config.sample_size
        x = draws.randn("x", 1, 3, side, side)
        draws.steps.append(["values", "input.timesteps", [500.0]])
        return module(x, torch.tensor([500.0])).sample, config_of(module)

    return Case(name, "unet_2d", run)


def latent_classifier(name, *, gradient=False, seed=7, rows=3, **arguments):
    """The logits of a noise-aware classifier, or the gradient of the asked class's log-probability."""

    def run(draws, config_of):
        module = draws.own_init(LatentClassifier(**arguments), seed)
        side = module.config.sample_size
        x = draws.randn("x", rows, module.config.in_channels, side, side)
        times = torch.linspace(900.0, 0.25, rows)  # at 999 the gain leaves nothing to compare
        draws.steps.append(["values", "input.timesteps", times.tolist()])
        if not gradient:
            return module(x, times), config_of(module)
        labels = torch.arange(rows) % module.config.num_classes
        draws.steps.append(["values", "input.class_labels", labels.tolist()])
        return log_probability_gradient(module, x, times, labels), config_of(module)

    return Case(name, "latent_classifier_gradient" if gradient else "latent_classifier", run)


def guidance_embedding(weights, dim):
    """diffusers' get_guidance_scale_embedding, taken from its own pipeline class."""
    from diffusers import LatentConsistencyModelPipeline

    return LatentConsistencyModelPipeline.get_guidance_scale_embedding(None, weights, embedding_dim=dim)


def clip(name, *, seed=5, skip=0, projection=False, **arguments):
    """A CLIP text tower on 77-token-style rows that end with the end token."""

    def run(draws, config_of):
        base = CLIPTextModelWithProjection if projection else CLIPTextModel
        module = draws.own_init(base(CLIPTextConfig(vocab_size=1000, max_position_embeddings=77, **arguments)), seed)
        ids = torch.tensor([[(7 * column + 13 * row) % 990 for column in range(12)] for row in range(2)])
        ids[0, 5:] = 999
        ids[1, 9:] = 999
        draws.steps.append(["values", "input.ids", ids.flatten().tolist()])
        result = module(ids, output_hidden_states=True)
        config = config_of(module)
        config["clip_skip"] = skip
        if projection:
            return result.text_embeds, config
        if skip == 0:
            return result.last_hidden_state, config
        tower = getattr(module, "text_model", module)
        return tower.final_layer_norm(result.hidden_states[-(skip + 1)]), config

    return Case(name, "clip_pooled" if projection else "clip", run)


def autoencoder(name, size, *, seed=4, **arguments):
    """The decode path, from latents as a sampler leaves them."""

    def run(draws, config_of):
        module = draws.own_init(AutoencoderKL(**arguments), seed)
        latents = draws.randn("latents", 2, module.config.latent_channels, *size)
        z = latents / module.config.scaling_factor
        if module.config.latents_mean:
            mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (module.config.latents_mean, module.config.latents_std))
            z = latents * std / module.config.scaling_factor + mean
        elif module.config.shift_factor:
            z = z + module.config.shift_factor
        return module.decode(z).sample, config_of(module)

    return Case(name, "autoencoder", run)


def layer_list():
    r = resnet
    small = {"in_channels": 32, "temb_channels": 128}
    return [
        layer("upsample_no_conv", "upsample_nearest", 32, lambda: r.Upsample2D(32, use_conv=False),
              [-.2173, -1.2079, -1.2079, .2952, 1.1254, 1.1254, .2952, 1.1254, 1.1254], config={}),
        layer("upsample_conv", "upsample", 32, lambda: r.Upsample2D(32, use_conv=True),
              [.7145, 1.3773, .3492, .8448, 1.0839, -.3341, .5956, .1250, -.4841], config={"out": 32}),
        layer("upsample_conv_64", "upsample", 32, lambda: r.Upsample2D(32, use_conv=True, out_channels=64),
              [.2703, .1656, -.2538, -.0553, -.2984, .1044, .1155, .2579, .7755], config={"out": 64}),
        layer("downsample_no_conv", "average_pool", 64, lambda: r.Downsample2D(32, use_conv=False),
              [-.0513, -.3889, .0640, .0836, -.5460, -.0341, -.0169, -.6967, .1179], config={}),
        layer("downsample_conv_16", "downsample", 64, lambda: r.Downsample2D(32, use_conv=True, name="op", out_channels=16),
              [-.6586, .5985, .0721, .1256, -.1492, .4436, -.2544, .5021, 1.1522], config={"out": 16, "padding": 1}),
        layer("downsample_conv", "downsample", 64, lambda: r.Downsample2D(32, use_conv=True, name="op"),
              [.9267, .5878, .3337, 1.2321, -.1191, -.3984, -.7532, -.0715, -.3913], config={"out": 32, "padding": 1}),
        layer("downsample_conv_asymmetric", "downsample", 15, lambda: r.Downsample2D(32, use_conv=True, name="op", padding=0),
              None, config={"out": 32, "padding": 0}),
        layer("resnet", "resnet", 64, lambda: r.ResnetBlock2D(**small),
              [-1.9010, -.2974, -.8245, -1.3533, .8742, -.9645, -2.0584, 1.3387, -.4746], config={}, with_temb=True),
        layer("resnet_shortcut", "resnet", 64, lambda: r.ResnetBlock2D(**small, use_in_shortcut=True),
              [.2226, -1.0791, -.1629, .3659, -.2889, -1.2376, .0582, .9206, .0044], config={"shortcut": True},
              with_temb=True),
        layer("resnet_up", "resnet", 64, lambda: r.ResnetBlock2D(**small, up=True),
              [1.2130, -.8753, -.9027, 1.5783, -.5362, -.5001, 1.0726, -.7732, -.4182], config={"resample": "up"},
              with_temb=True),
        layer("resnet_down", "resnet", 64, lambda: r.ResnetBlock2D(**small, down=True),
              [-.3002, -.7135, .1359, .0561, -.7935, .0113, -.1766, -.6714, -.0436], config={"resample": "down"},
              with_temb=True),
        layer("resnet_wider_scale_shift", "resnet", 9,
              lambda: r.ResnetBlock2D(**small, out_channels=64, time_embedding_norm="scale_shift",
                                      output_scale_factor=1.5), None,
              config={"out": 64, "scale_shift": True, "output_scale": 1.5}, with_temb=True),
        layer("transformer_self", "transformer", 64,
              lambda: Transformer2DModel(in_channels=32, num_attention_heads=1, attention_head_dim=32, dropout=0.0,
                                         cross_attention_dim=None),
              [-1.9455, -.0066, -1.3933, -1.5878, .5325, -.6486, -1.8648, .7515, -.9689],
              config={"channels": 32, "heads": 1, "cross": 0}),
        layer("transformer_cross", "transformer", 64,
              lambda: Transformer2DModel(in_channels=64, num_attention_heads=2, attention_head_dim=32, dropout=0.0,
                                         cross_attention_dim=64),
              [.0143, -.6909, -2.1547, -1.8893, 1.4097, .1359, -.2521, -1.3359, .2598],
              config={"channels": 64, "heads": 2, "cross": 64}, channels=64, context=(1, 4, 64)),
    ]


def block_list():
    b = blocks
    down = {"in_channels": 32, "out_channels": 32, "temb_channels": 128}
    up = {"in_channels": 32, "out_channels": 32, "prev_output_channel": 32, "temb_channels": 128}
    return [
        block("down", "down", lambda: b.DownBlock2D(**down),
              [-.0232, -.9869, .8054, -.0637, -.1688, -1.4264, .4470, -1.3394, .0904], config={}),
        block("resnet_down_block", "down", lambda: b.ResnetDownsampleBlock2D(**down),
              [.0710, .2410, -.7320, -1.0757, -1.1343, .3540, -.0133, -.2576, .0948], config={"resampler": "resnet"}),
        block("down_encoder", "down", lambda: b.DownEncoderBlock2D(in_channels=32, out_channels=32),
              [1.1102, .5302, .4872, -.0023, -.8042, .0483, -.3489, -.5632, .7626], config={}, with_temb=False),
        block("attn_down", "down", lambda: b.AttnDownBlock2D(**down),
              [.0636, .8964, -.6234, -1.0131, .0844, .4935, .3437, .0911, -.2957],
              config={"attention": "spatial", "heads": 32}),
        block("cross_attn_down", "down", lambda: b.CrossAttnDownBlock2D(**down, cross_attention_dim=32),
              [.2238, -.7396, -.2255, -.3829, .1925, 1.1665, .0603, -.7295, .1983],
              config={"attention": "transformer", "heads": 1}),
        block("mid", "mid", lambda: b.UNetMidBlock2D(in_channels=32, temb_channels=128),
              [-.1062, 1.7248, .3494, 1.4569, -.0910, -1.2421, -.9984, .6736, 1.0028],
              config={"attention": "spatial", "heads": 32}),
        block("mid_cross_attn", "mid",
              lambda: b.UNetMidBlock2DCrossAttn(in_channels=32, temb_channels=128, cross_attention_dim=32),
              [.0187, 2.4220, .4484, 1.1203, -.6121, -1.5122, -.8270, .7851, 1.8335],
              config={"attention": "transformer", "heads": 1}),
        block("up", "up", lambda: b.UpBlock2D(**up),
              [-.2041, -.4165, -.3022, .0041, -.6628, -.7053, .1928, -.0325, .0523], config={}, takes_skip=True),
        block("resnet_up_block", "up", lambda: b.ResnetUpsampleBlock2D(**up),
              [.2287, .3549, -.1346, .4797, -.1715, -.9649, .7305, -.5864, -.6244], config={"resampler": "resnet"},
              takes_skip=True),
        block("attn_up", "up", lambda: b.AttnUpBlock2D(**up),
              [.0979, .1326, .0021, .0659, .2249, .0059, .1132, .5952, .1033],
              config={"attention": "spatial", "heads": 32}, takes_skip=True),
        block("cross_attn_up", "up", lambda: b.CrossAttnUpBlock2D(**up, cross_attention_dim=32),
              [-.1403, -.3515, -.0420, -.1425, .3167, .5094, -.2181, .5931, .5582],
              config={"attention": "transformer", "heads": 1}, takes_skip=True),
        block("up_decoder", "up_decoder", lambda: b.UpDecoderBlock2D(in_channels=32, out_channels=32),
              [.4404, .1998, -.9886, -.3320, -.3128, -.7034, -.6955, -.2338, -.3137], config={}, with_temb=False),
    ]


def model_list():
    sd1 = dict(block_out_channels=(4, 8), layers_per_block=1, sample_size=32, cross_attention_dim=8, norm_num_groups=2,
               attention_head_dim=2, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
               up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"))
    sd2 = dict(block_out_channels=(32, 64), layers_per_block=2, sample_size=32, cross_attention_dim=32,
               attention_head_dim=(2, 4), use_linear_projection=True,
               down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"))
    sdxl = dict(sd2, block_out_channels=(2, 4), attention_head_dim=(1, 2), norm_num_groups=1, cross_attention_dim=16,
                addition_embed_type="text_time", addition_time_embed_dim=8, transformer_layers_per_block=(1, 2),
                projection_class_embeddings_input_dim=80)
    deep = dict(block_out_channels=(8, 16, 24), layers_per_block=(1, 2, 1), cross_attention_dim=12, norm_num_groups=4,
                attention_head_dim=(2, 4, 6), sample_size=(8, 12), center_input_sample=True, flip_sin_to_cos=False,
                freq_shift=1, downsample_padding=0, mid_block_scale_factor=1.25, act_fn="mish", norm_eps=1e-6,
                resnet_out_scale_factor=1.1, resnet_time_scale_shift="scale_shift", time_embedding_dim=20,
                timestep_post_act="gelu", time_embedding_act_fn="relu", conv_in_kernel=5, conv_out_kernel=1,
                only_cross_attention=(True, False, False), num_class_embeds=5, in_channels=3, out_channels=6,
                encoder_hid_dim=10, encoder_hid_dim_type="text_proj", transformer_layers_per_block=(2, 1, 1),
                down_block_types=("CrossAttnDownBlock2D", "AttnDownBlock2D", "ResnetDownsampleBlock2D"),
                up_block_types=("ResnetUpsampleBlock2D", "AttnUpBlock2D", "CrossAttnUpBlock2D"))
    tower = dict(hidden_size=32, intermediate_size=37, num_attention_heads=4, num_hidden_layers=5, eos_token_id=999,
                 bos_token_id=0, pad_token_id=1)
    return [
        unet("unet_sd1", 3, (16, 16), 8, **sd1),
        unet("unet_sd1_odd_size", 2, (9, 15), 8, **sd1),
        unet("unet_sd1_lcm", 2, (8, 8), 8, **dict(sd1, time_cond_proj_dim=32, sample_size=8)),
        unet("unet_sd2", 2, (8, 8), 32, **sd2),
        unet("unet_sdxl", 2, (8, 8), 16, **sdxl),
        unet("unet_every_option", 2, (8, 12), 10, **deep),
        unet("unet_no_attention_in_mid", 1, (8, 8), 8, **dict(sd1, mid_block_type="UNetMidBlock2D")),
        clip("clip_quick_gelu", hidden_act="quick_gelu", **tower),
        clip("clip_gelu", hidden_act="gelu", **tower),
        clip("clip_skip_2", skip=2, hidden_act="quick_gelu", **tower),
        clip("clip_pooled", projection=True, hidden_act="gelu", projection_dim=24, **tower),
        clip("clip_pooled_legacy_eos", projection=True, hidden_act="gelu", projection_dim=24,
             **dict(tower, eos_token_id=2)),
        autoencoder("autoencoder_sd1", (9, 8), block_out_channels=(4, 8), norm_num_groups=2, latent_channels=4,
                    down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2),
        autoencoder("autoencoder_shifted", (4, 4), block_out_channels=(8, 8, 16), norm_num_groups=4, latent_channels=3,
                    layers_per_block=2, down_block_types=("DownEncoderBlock2D",) * 3,
                    up_block_types=("UpDecoderBlock2D",) * 3, scaling_factor=1.3, shift_factor=.25,
                    use_post_quant_conv=False, use_quant_conv=False, mid_block_add_attention=False),
        autoencoder("autoencoder_statistics", (4, 4), block_out_channels=(8,), norm_num_groups=4, latent_channels=2,
                    scaling_factor=.5, latents_mean=[-1.5, .75], latents_std=[2.5, .5]),
        *tiled_and_tiny_list(),
    ]


def class_conditional_list():
    digits = dict(sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 16), layers_per_block=1,
                  attention_head_dim=8, norm_num_groups=4, num_class_embeds=11,
                  down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"))
    ddpm = dict(sample_size=16, block_out_channels=(8, 16, 16), layers_per_block=2, attention_head_dim=None,
                norm_num_groups=2, flip_sin_to_cos=False, freq_shift=1, downsample_padding=0, norm_eps=1e-6,
                down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
                up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"))
    options = dict(digits, center_input_sample=True, mid_block_scale_factor=1.25, attn_norm_num_groups=2, act_fn="mish",
                   class_embed_type="timestep", num_class_embeds=4, out_channels=6, sample_size=(8, 12))
    small = dict(block_out_channels=(8, 16), norm_num_groups=4, sample_size=8)
    seeded = dict(in_channels=3, out_channels=3, down_block_types=("DownBlock2D", "AttnDownBlock2D"),
                  up_block_types=("AttnUpBlock2D", "UpBlock2D"))
    return [
        unet_2d("unet_2d_digits", 3, (8, 8), **digits),
        unet_2d("unet_2d_odd_size", 2, (10, 6), **digits),
        unet_2d("unet_2d_ddpm", 2, (16, 16), **ddpm),
        unet_2d("unet_2d_no_mid_attention", 2, (8, 8), **dict(digits, add_attention=False, num_class_embeds=None)),
        unet_2d("unet_2d_options", 2, (8, 12), **options),
        seeded_unet_2d("unet_2d_seeded", **dict(seeded, block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=4,
                                                sample_size=8)),
        seeded_unet_2d("unet_2d_seeded_wide", **dict(seeded, block_out_channels=(32, 64), layers_per_block=2,
                                                     sample_size=32)),
        latent_classifier("latent_classifier", **small),
        latent_classifier("latent_classifier_one_block", block_out_channels=(8,), layers_per_block=1,
                          norm_num_groups=2, sample_size=6, num_classes=5, in_channels=3, flip_sin_to_cos=False,
                          freq_shift=1, logit_gain=None),
        latent_classifier("latent_classifier_gradient", gradient=True, **small),
    ]


def all_cases() -> list[Case]:
    return layer_list() + block_list() + model_list() + class_conditional_list()
