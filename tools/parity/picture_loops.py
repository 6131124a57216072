"""What pipelines of diffusers have not, painted by loops that are written from the formulas: make_picture_fixtures.py."""
import diffusers
import torch


class Loop:
    """What the loops below share: the model's parts, the prompt's rows, the picture's latents and the noise."""

    def __init__(self, pipe, request, picture, generator):
        self.pipe, self.request = pipe, request
        self.scale = request["guidance_scale"]
        cond, uncond = pipe.encode_prompt(request["prompt"], "cpu", 1, True, request["negative_prompt"])
        self.rows = torch.cat([uncond, cond]) if self.scale > 1 else cond
        encoded = pipe.vae.encode(pipe.image_processor.preprocess(picture)).latent_dist
        self.image = pipe.vae.config.scaling_factor * encoded.sample(generator)
        self.noise = None if request["kind"] == "invert" else torch.randn(self.image.shape, generator=generator)
        if request["kind"] != "invert":
            # diffusers encodes the masked picture here.
            torch.randn(self.image.shape, generator=generator)
        self.generator = generator

    def predict(self, x, t, rows=None):
        rows = self.rows if rows is None else rows
        out = self.pipe.unet(torch.cat([x] * len(rows)), t, encoder_hidden_states=rows).sample
        return out if len(rows) == 1 else out[:1] + self.scale * (out[1:] - out[:1])

    def latent_mask(self, mask):
        values = torch.tensor(list(mask.getdata()), dtype=torch.float32).view(1, 1, mask.height, mask.width) / 255
        return torch.nn.functional.interpolate(values, size=self.image.shape[-2:], mode="bilinear")

    def executed(self):
        scheduler, steps = self.pipe.scheduler, self.request["steps"]
        scheduler.set_timesteps(steps)
        first = steps - int(steps * self.request["strength"])
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(first * scheduler.order)
        return scheduler.timesteps[first * scheduler.order:]


def paint_x0(loop, mask):
    """ComfyUI's KSamplerX0Inpaint: the denoiser sees the picture with the same noise outside of the mask, and its estimate
    is replaced by the picture there. In sigma space: Euler, and ancestral Euler."""
    timesteps, scheduler, request = loop.executed(), loop.pipe.scheduler, loop.request
    sigmas = scheduler.sigmas[scheduler.begin_index:]
    m = loop.latent_mask(mask)
    picture = loop.image
    if request["fill"] == "NOISE":
        nearest = loop.latent_mask_nearest
        picture = loop.image * (1 - nearest) + loop.noise * nearest
    x = picture + sigmas[0] * loop.noise
    for i, t in enumerate(timesteps):
        sigma, after = sigmas[i], sigmas[i + 1]
        seen = x * m + (loop.image + loop.noise * sigma) * (1 - m)
        eps = loop.predict(seen / (sigma**2 + 1) ** 0.5, t)
        x0 = (seen - sigma * eps) * m + loop.image * (1 - m)
        up = 0 * sigma
        if request["sampler"] == "EULER_ANCESTRAL":
            up = (after**2 * (sigma**2 - after**2) / sigma**2) ** 0.5
        down = (after**2 - up**2) ** 0.5
        x = x + (x - x0) / sigma * (down - sigma)
        if request["sampler"] == "EULER_ANCESTRAL":
            x = x + up * torch.randn(x.shape, generator=loop.generator)
    return x * m + loop.image * (1 - m)


def paint_differential(loop, mask):
    """Differential diffusion (arXiv:2306.00950): before evaluation i of n a cell is free where the mask is at least
    1 - i / n; what is not free is the picture with the same noise. Cells of 0 are kept to the end."""
    timesteps, scheduler = loop.executed(), loop.pipe.scheduler
    m = loop.latent_mask(mask)
    x = scheduler.add_noise(loop.image, loop.noise, timesteps[:1])
    for i, t in enumerate(timesteps):
        if i > 0:
            known = scheduler.add_noise(loop.image, loop.noise, timesteps[i:i + 1])
            free = (m >= 1 - i / len(timesteps)).float()
            x = (1 - free) * known + free * x
        out = loop.predict(scheduler.scale_model_input(x, t), t)
        x = scheduler.step(out, t, x).prev_sample
    free = (m > 0).float()
    return (1 - free) * loop.image + free * x


def paint_inverted(loop, scheduler_config):
    """DDIM inversion by the prompt alone, then DDIM from there."""
    inverse = diffusers.DDIMInverseScheduler.from_config(scheduler_config)
    inverse.set_timesteps(loop.request["steps"])
    timesteps = loop.executed()
    x = loop.image
    for t in inverse.timesteps[:len(timesteps)]:
        x = inverse.step(loop.predict(x, t, loop.rows[-1:]), t, x).prev_sample
    for t in timesteps:
        x = loop.pipe.scheduler.step(loop.predict(x, t), t, x).prev_sample
    return x
