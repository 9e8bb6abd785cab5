"""Draws the picture of `make demo`: pen-drawn digits on clutter, from a fixed seed.

python models/make_demo_picture.py models/demo.png
"""

from __future__ import annotations

import sys

from digits_data import DigitPictures
from PIL import Image

SEED = 21

if __name__ == "__main__":
    picture, _, labels = DigitPictures(size=640).picture(SEED, clutter=1.5, sizes=(90, 280))
    Image.fromarray(picture).quantize(64).save(sys.argv[1], optimize=True)
    print(f"{sys.argv[1]}: digits {sorted(labels.tolist())}")
