"""Pictures of what a detector missed, and of what a classifier mistook: what ``edgecnn eval --worst`` writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from edgecnn.draw import draw_label, pillow
from edgecnn.evaluate.classification import Mistake
from edgecnn.evaluate.evaluation import SHOWN_CONF, Miss
from edgecnn.images import read_image

MISSED, FOUND = (214, 40, 57), (32, 140, 80)  # red, green, blue
LEAST_WIDTH = 1000  # smaller pictures are enlarged, so that labels hide less of them
MISTAKE_WIDTH = 420


def draw_miss(miss: Miss, names: Sequence[str]) -> np.ndarray:
    """The picture with missed boxes in red, those found in green, and above it what they are; uint8 (H, W, 3) BGR."""
    from_rgb, drawer, font_of = pillow()
    picture = from_rgb(np.ascontiguousarray(read_image(miss.picture.path)[:, :, ::-1]))
    factor = max(1.0, LEAST_WIDTH / picture.width)
    picture = picture.resize((round(picture.width * factor), round(picture.height * factor)))
    head, small = font_of(20), font_of(13)
    counts = Counter(names[miss.picture.boxes[i].class_id] for i in miss.missed)
    total = sum(not (box.ignored or box.crowd) for box in miss.picture.boxes)
    kinds = ", ".join(f"{count} {name}" for name, count in counts.most_common(8)) + (", ..." if len(counts) > 8 else "")
    lines = [
        (f"missed {len(miss.missed)} of {total}: {kinds}", MISSED),
        (f"{miss.picture.path.name}: {len(miss.found)} found above {SHOWN_CONF:g}", FOUND),
    ]
    strip = 30 * len(lines)
    canvas = from_rgb(np.full((picture.height + strip, picture.width, 3), 255, np.uint8))
    canvas.paste(picture, (0, strip))
    pen = drawer(canvas)
    for i, (text, color) in enumerate(lines):
        pen.text((8, 30 * i + 3), text, fill=color, font=head)
    found = [(box.xyxy, f"{box.name} {box.conf:.2f}", FOUND, 2) for box in miss.found]
    missed = [(miss.picture.boxes[i].xyxy, names[miss.picture.boxes[i].class_id], MISSED, 3) for i in miss.missed]
    corners = []
    for xyxy, _, color, width in (*found, *missed):
        left, top, right, bottom = (round(float(v) * factor) for v in xyxy)
        corners.append((left, max(top, 18) + strip))  # labels stay out of the lines of text
        box = (left, top + strip, max(left, right - 1), max(top, bottom - 1) + strip)
        pen.rectangle(box, outline=color, width=width)
    for (_, text, color, _), corner in zip((*found, *missed), corners):
        draw_label(pen, small, text, corner, color, canvas.size, 1)
    return np.ascontiguousarray(np.asarray(canvas)[:, :, ::-1])


def draw_mistake(mistake: Mistake, names: Sequence[str]) -> np.ndarray:
    """The picture, and above it what it is and what it was taken for; uint8 (H, W, 3) BGR."""
    from_rgb, drawer, font_of = pillow()
    picture = from_rgb(np.ascontiguousarray(mistake.picture.open().bgr()[:, :, ::-1]))
    factor = MISTAKE_WIDTH / picture.width
    # Small pictures are shown by their pixels.
    size = (MISTAKE_WIDTH, max(1, round(picture.height * factor)))
    picture = picture.resize(size, 0) if factor >= 2 else picture.resize(size)
    lines = [
        (f"is {names[mistake.picture.class_id]} ({mistake.of_its_own:.3f})", FOUND),
        (f"taken for {names[mistake.answer]} ({mistake.probability:.3f})", MISSED),
    ]
    canvas = from_rgb(np.full((picture.height + 30 * len(lines), picture.width, 3), 255, np.uint8))
    canvas.paste(picture, (0, 30 * len(lines)))
    pen = drawer(canvas)
    for i, (text, color) in enumerate(lines):
        pen.text((8, 30 * i + 3), text, fill=color, font=font_of(20))
    return np.ascontiguousarray(np.asarray(canvas)[:, :, ::-1])
