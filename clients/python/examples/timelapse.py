"""A picture as it comes into being, as an animation: python examples/timelapse.py "a rocket" rocket.gif"""

import sys

import PIL.Image

import stepcast


def main(prompt: str, target: str) -> None:
    frames: list[PIL.Image.Image] = []
    with stepcast.Client() as client, client.generate(prompt, preview=1) as generation:
        for event in generation:
            if isinstance(event, stepcast.Preview | stepcast.Image):
                frames.append(event.pil().resize((256, 256)))
    frames[0].save(target, save_all=True, append_images=frames[1:], duration=[80] * (len(frames) - 1) + [1500], loop=0)


if __name__ == "__main__":
    main(*sys.argv[1:3])
