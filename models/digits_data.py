"""Pictures of handwritten digits scattered over clutter, made on the fly: what `digits` learns from and is judged on.

Glyphs come from two sources: MNIST (idx files given by the caller) and digits drawn here as jittered pen strokes, so
that the shipped demo picture needs no foreign data. A picture is reproducible from its seed.

Needs numpy and Pillow.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = 224  # pictures are SIZE x SIZE, the input of YOLO-LITE

# One or two pen strokes a digit, as points in a box one unit wide and high (y downwards).
STROKES: dict[int, list[list[tuple[float, float]]]] = {
    0: [
        [
            (0.5, 0.0), (0.15, 0.2), (0.08, 0.5), (0.18, 0.85), (0.5, 1.0), (0.82, 0.85), (0.9, 0.5), (0.8, 0.15),
            (0.5, 0.0),
        ],
    ],
    1: [
        [(0.3, 0.2), (0.55, 0.0), (0.55, 0.5), (0.52, 1.0)],
    ],
    2: [
        [
            (0.12, 0.25), (0.3, 0.02), (0.7, 0.03), (0.85, 0.28), (0.6, 0.58), (0.1, 0.97), (0.5, 0.95),
            (0.92, 0.98),
        ],
    ],
    3: [
        [(0.15, 0.12), (0.5, 0.0), (0.82, 0.2), (0.45, 0.47), (0.85, 0.72), (0.55, 1.0), (0.12, 0.88)],
    ],
    4: [
        [(0.35, 0.0), (0.1, 0.55), (0.5, 0.6), (0.92, 0.56)],
        [(0.68, 0.1), (0.64, 0.55), (0.62, 1.0)],
    ],
    5: [
        [(0.85, 0.02), (0.3, 0.03), (0.22, 0.42), (0.6, 0.38), (0.88, 0.65), (0.6, 0.97), (0.12, 0.9)],
    ],
    6: [
        [(0.7, 0.0), (0.3, 0.3), (0.12, 0.7), (0.4, 1.0), (0.8, 0.85), (0.75, 0.55), (0.4, 0.5), (0.18, 0.75)],
    ],
    7: [
        [(0.1, 0.05), (0.5, 0.03), (0.9, 0.04), (0.6, 0.5), (0.4, 1.0)],
    ],
    8: [
        [
            (0.75, 0.12), (0.4, 0.0), (0.2, 0.22), (0.5, 0.46), (0.82, 0.74), (0.5, 1.0), (0.17, 0.76),
            (0.48, 0.47), (0.78, 0.2), (0.66, 0.06),
        ],
    ],
    9: [
        [(0.8, 0.25), (0.5, 0.0), (0.2, 0.2), (0.35, 0.5), (0.7, 0.42), (0.82, 0.15), (0.78, 0.6), (0.6, 1.0)],
    ],
}  # fmt: skip


def load_mnist(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads ``images-idx3-ubyte.gz`` and ``labels-idx1-ubyte.gz``: uint8 (N, 28, 28) and (N,)."""
    with gzip.open(folder / "images-idx3-ubyte.gz") as f:
        images = np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / "labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(), np.uint8, offset=8)
    if len(images) != len(labels):
        raise ValueError(f"{folder}: {len(images)} images but {len(labels)} labels")
    return images, labels


Digits = tuple[np.ndarray, np.ndarray]  # images and labels


def split_mnist(folder: Path) -> tuple[Digits, Digits, Digits]:
    """Of ten digits seven to learn from, two to choose by while learning, and one to judge by in the end."""
    images, labels = load_mnist(folder)
    place = np.arange(len(images)) % 10
    test, validation = place == 9, np.isin(place, (4, 8))
    training = ~(test | validation)
    parts = [(images[part], labels[part]) for part in (training, validation, test)]
    return parts[0], parts[1], parts[2]


def stroke_glyph(rng: np.random.Generator, label: int, size: int = 56) -> np.ndarray:
    """A digit drawn by pen: uint8 (size, size), ink 255."""
    scale = 4  # drawn large, then reduced: smooth edges
    image = Image.new("L", (56 * scale, 56 * scale), 0)
    draw = ImageDraw.Draw(image)
    thickness = int(rng.uniform(3.5, 8.0) * scale)
    width, height = rng.uniform(18, 34) * scale, rng.uniform(34, 42) * scale
    slant = rng.uniform(-0.2, 0.3) * height
    for stroke in STROKES[label]:
        points = np.array(stroke) + rng.normal(0, 0.025, (len(stroke), 2))
        x = 28 * scale + (points[:, 0] - 0.5) * width + (0.5 - points[:, 1]) * slant
        y = 28 * scale + (points[:, 1] - 0.5) * height
        smooth = catmull_rom(np.stack([x, y], 1))
        draw.line([(float(a), float(b)) for a, b in smooth], fill=255, width=thickness, joint="curve")
        for end in (smooth[0], smooth[-1]):
            r = thickness / 2
            draw.ellipse([end[0] - r, end[1] - r, end[0] + r, end[1] + r], fill=255)
    return np.asarray(image.resize((size, size), Image.BILINEAR))


def catmull_rom(points: np.ndarray, steps: int = 8) -> np.ndarray:
    """A smooth curve through the points (Catmull and Rom, 1974): (N, 2) -> ((N - 1) * steps + 1, 2)."""
    padded = np.concatenate([points[:1], points, points[-1:]])
    t = np.arange(steps)[:, None] / steps
    pieces = []
    for p0, p1, p2, p3 in zip(padded, padded[1:], padded[2:], padded[3:]):
        pieces.append(
            0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * (p1 - p2) + p3 - p0) * t**3)
        )
    return np.concatenate([*pieces, points[-1:]])


class DigitPictures:
    """Makes pictures with boxes.

    Parameters
    ----------
    images, labels : uint8 (N, 28, 28) and (N,), or None
        MNIST glyphs; without them every glyph is drawn by `stroke_glyph`.
    stroke_share : float
        The share of glyphs drawn by pen where MNIST is given.
    size : int
        Pictures are size x size pixels.
    """

    def __init__(
        self,
        images: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        stroke_share: float = 0.3,
        size: int = SIZE,
    ) -> None:
        self.images, self.labels, self.size = images, labels, size
        self.stroke_share = stroke_share if images is not None else 1.0

    def glyph(self, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """A uint8 ink picture of one digit, and which."""
        if self.images is None or self.labels is None or rng.random() < self.stroke_share:
            label = int(rng.integers(10))
            return stroke_glyph(rng, label, max(56, self.size // 4)), label
        i = int(rng.integers(len(self.images)))
        return self.images[i], int(self.labels[i])

    def picture(
        self, seed: int | tuple[int, ...], clutter: float = 1.0, sizes: tuple[float, float] = (26.0, 110.0)
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One picture: uint8 RGB (size, size, 3), boxes float32 (N, 4) xyxy in pixels, labels int64 (N,).

        ``clutter`` scales the number of distracting shapes; ``sizes`` bounds the height of a glyph in pixels.
        """
        rng = np.random.default_rng(seed)
        canvas = background(rng, clutter, self.size)
        boxes: list[tuple[float, float, float, float]] = []
        labels: list[int] = []
        for _ in range(int(rng.integers(1, 11))):
            self._place(rng, canvas, boxes, labels, sizes)
        picture = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
        if rng.random() < 0.3:
            picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.9)))
        noisy = np.asarray(picture, np.float32) + rng.normal(0, rng.uniform(0, 10), (self.size, self.size, 3))
        result = np.clip(noisy, 0, 255).astype(np.uint8)
        return result, np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64)

    def _place(
        self,
        rng: np.random.Generator,
        canvas: np.ndarray,
        boxes: list[tuple[float, float, float, float]],
        labels: list[int],
        sizes: tuple[float, float],
    ) -> None:
        """Draws one glyph into the canvas where it covers no earlier one by more than a fifth."""
        ink, label = self.glyph(rng)
        height = float(np.exp(rng.uniform(np.log(sizes[0]), np.log(sizes[1])))) * 1.35  # the ink fills about 3/4
        glyph = Image.fromarray(ink).resize(
            (max(8, int(height * rng.uniform(0.8, 1.2))), max(8, int(height))), Image.BILINEAR
        )
        alpha = np.asarray(glyph.rotate(rng.uniform(-14, 14), Image.BILINEAR), np.float32) / 255
        rows, columns = np.where(alpha.max(1) > 0.35)[0], np.where(alpha.max(0) > 0.35)[0]
        if not len(rows) or not len(columns):
            return
        alpha = alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        h, w = alpha.shape
        if max(h, w) >= self.size - 4:
            return
        for _ in range(12):
            x, y = int(rng.integers(1, self.size - w - 1)), int(rng.integers(1, self.size - h - 1))
            box = (float(x), float(y), float(x + w), float(y + h))
            if all(overlap(box, other) < 0.2 for other in boxes):
                break
        else:
            return
        under = canvas[y : y + h, x : x + w].mean((0, 1))
        color = rng.uniform(0, 255, 3)
        while np.abs(color - under).mean() < 60:
            color = rng.uniform(0, 255, 3)
        a = alpha[..., None] * rng.uniform(0.85, 1.0)
        canvas[y : y + h, x : x + w] = canvas[y : y + h, x : x + w] * (1 - a) + color * a
        boxes.append(box)
        labels.append(label)


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over the smaller of two xyxy boxes."""
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))


def background(rng: np.random.Generator, clutter: float, size: int) -> np.ndarray:
    """A canvas: a colour gradient with lines, boxes and ellipses on it; float32 (size, size, 3)."""
    low, high = rng.uniform(0, 255, 3), rng.uniform(0, 255, 3)
    high = low + (high - low) * rng.uniform(0, 0.6)
    ramp = np.linspace(0, 1, size)
    mix = ramp[:, None] * rng.uniform(0, 1) + ramp[None, :] * rng.uniform(0, 1)
    image = Image.fromarray(np.clip(low + (high - low) * mix[..., None], 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 9) * clutter)):
        x0, y0, x1, y1 = (int(v) for v in rng.integers(-20, size + 20, 4))
        fill = tuple(int(v) for v in np.clip(low + rng.normal(0, 50, 3), 0, 255))
        kind = int(rng.integers(4))
        if kind == 0:
            draw.line([x0, y0, x1, y1], fill=fill, width=int(rng.integers(1, 5)))
        elif kind == 1:
            draw.rectangle(
                [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)], outline=fill, width=int(rng.integers(1, 4))
            )
        elif kind == 2:
            draw.ellipse([min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)], fill=fill)
        else:
            draw.arc(
                [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)],
                0,
                int(rng.integers(60, 300)),
                fill=fill,
                width=int(rng.integers(1, 5)),
            )
    return np.asarray(image, np.float32).copy()
