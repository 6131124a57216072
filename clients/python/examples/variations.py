"""Eight seeds at once, as one contact sheet: python examples/variations.py "a red apple" sheet.png"""

import asyncio
import sys

import PIL.Image

import stepcast


async def main(prompt: str, target: str) -> None:
    async with stepcast.AsyncClient() as client:
        results = await asyncio.gather(*(client.paint(prompt, seed=seed) for seed in range(8)))
    pictures = [result.image.pil() for result in results]
    width, height = pictures[0].size
    sheet = PIL.Image.new("RGB", (4 * width, 2 * height))
    for index, picture in enumerate(pictures):
        sheet.paste(picture, (index % 4 * width, index // 4 * height))
    sheet.save(target)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
