"""Writes tests/fuzz/picture_corpus: a small picture of every kind that is read, and of the kinds that are refused.

    pip install pillow; python tests/fuzz/make_picture_corpus.py
"""
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).resolve().parent / "picture_corpus"


def main():
    FOLDER.mkdir(exist_ok=True)
    ramp = Image.new("RGB", (9, 7))
    ramp.putdata([(28 * x, 36 * y, 10 * (x + y)) for y in range(7) for x in range(9)])
    alpha = ramp.convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize((9, 7)))
    exif = Image.Exif()
    exif[0x0112] = 6
    pictures = {"rgb.png": ramp, "rgba.png": alpha, "grey.png": ramp.convert("L"), "bits.png": ramp.convert("1"),
                "grey_alpha.png": alpha.convert("LA"), "palette.png": ramp.convert("P", palette=Image.Palette.ADAPTIVE),
                "deep.png": ramp.convert("L").convert("I;16")}
    for name, picture in pictures.items():
        picture.save(FOLDER / name)
    ramp.save(FOLDER / "exif.png", exif=exif)
    for name, options in {"baseline": {}, "progressive": {"progressive": True}, "exif": {"exif": exif}}.items():
        ramp.save(FOLDER / f"{name}.jpg", **options)
    ramp.convert("L").save(FOLDER / "grey.jpg")
    ramp.convert("CMYK").save(FOLDER / "cmyk.jpg")
    for name, options in {"lossy": {}, "lossless": {"lossless": True}, "exif": {"exif": exif}}.items():
        ramp.save(FOLDER / f"{name}.webp", **options)
    alpha.save(FOLDER / "alpha.webp")
    for suffix in ("png", "webp"):
        ramp.save(FOLDER / f"animated.{suffix}", save_all=True, append_images=[ramp.rotate(180)])


if __name__ == "__main__":
    main()
