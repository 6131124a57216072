"""Makes text/clip_vocabulary/merges.txt.gz from the file that OpenAI published with CLIP.

    pip download --no-deps open_clip_torch==3.3.0 && unzip open_clip_torch-*.whl open_clip/bpe_simple_vocab_16e6.txt.gz
    python tools/parity/pack_clip_vocabulary.py open_clip/bpe_simple_vocab_16e6.txt.gz

Of its 262,145 merges CLIP uses the first 48,894; the tokens follow from them. The output depends on the input alone.
"""

from __future__ import annotations

import gzip
import hashlib
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parents[2] / "text" / "clip_vocabulary" / "merges.txt.gz"
SHA256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
MERGES = 49152 - 256 - 2


def main() -> None:
    packed = Path(sys.argv[1]).read_bytes()
    if hashlib.sha256(packed).hexdigest() != SHA256:
        raise SystemExit(f"{sys.argv[1]} is not the published file: its SHA-256 must be {SHA256}")
    merges = gzip.decompress(packed).decode("utf-8").split("\n")[1 : MERGES + 1]
    TARGET.write_bytes(gzip.compress(("\n".join(merges) + "\n").encode("utf-8"), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main()
