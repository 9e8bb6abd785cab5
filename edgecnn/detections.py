"""The boxes found in one picture."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from edgecnn.errors import InputError, MissingDependency
from edgecnn.images import Picture


@dataclass(frozen=True)
class Detection:
    """One box.

    Attributes
    ----------
    xyxy : tuple of float
        Left, top, right, bottom in pixels of the source picture.
    conf : float
        Confidence, 0 to 1.
    class_id : int
    name : str
        Label of the class.
    """

    xyxy: tuple[float, float, float, float]
    conf: float
    class_id: int
    name: str

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        return {
            "box": [round(v, 2) for v in self.xyxy],
            "confidence": round(self.conf, 5),
            "class_id": self.class_id,
            "class": self.name,
        }


class Detections:
    """The boxes found in one picture, highest confidence first.

    ``len``, indexing (an integer gives a `Detection`; a slice, mask or index array gives `Detections`) and iteration
    do what one expects.

    Attributes
    ----------
    xyxy : ndarray
        float32 (N, 4): left, top, right, bottom in pixels of the source picture, clipped to it.
    conf : ndarray
        float32 (N,), 0 to 1.
    class_id : ndarray
        int64 (N,).
    names : tuple of str
        Label of each class that the model knows: ``names[class_id]``.
    speed : dict
        Milliseconds of "preprocess", "inference" and "postprocess"; reading a file is not part of it.
    image : ndarray or None
        The source picture, uint8 (H, W, 3) BGR. Not a copy of an array that was given.
    source : str
        File, or video source and frame number, or "".
    age : float
        Seconds that a camera's frame had waited when it was taken; 0 otherwise.
    """

    def __init__(
        self,
        xyxy: np.ndarray,
        conf: np.ndarray,
        class_id: np.ndarray,
        names: Sequence[str] = (),
        *,
        speed: Mapping[str, float] | None = None,
        image: np.ndarray | Picture | None = None,
        source: str = "",
        age: float = 0.0,
    ) -> None:
        xyxy = np.asarray(xyxy, np.float32).reshape(-1, 4)
        conf = np.asarray(conf, np.float32).reshape(-1)
        class_id = np.asarray(class_id, np.int64).reshape(-1)
        if not len(xyxy) == len(conf) == len(class_id):
            raise InputError(f"{len(xyxy)} boxes, {len(conf)} confidences and {len(class_id)} class ids do not fit")
        order = np.argsort(-conf, kind="stable")
        self.xyxy, self.conf, self.class_id = xyxy[order], conf[order], class_id[order]
        self.names = tuple(names)
        self.speed = dict(speed or {})
        self._picture = Picture(image) if isinstance(image, np.ndarray) else image
        self.source = source or (self._picture.name if self._picture else "")
        self.age = age

    @property
    def image(self) -> np.ndarray | None:
        """The source picture as BGR (see the attributes)."""
        return None if self._picture is None else self._picture.bgr()

    def name(self, class_id: int) -> str:
        """Label of a class."""
        return self.names[class_id] if 0 <= class_id < len(self.names) else f"class {class_id}"

    def __len__(self) -> int:
        return len(self.conf)

    @overload
    def __getitem__(self, index: int) -> Detection: ...
    @overload
    def __getitem__(self, index: slice | np.ndarray | Sequence[Any]) -> Detections: ...

    def __getitem__(self, index: Any) -> Detection | Detections:
        if isinstance(index, (int, np.integer)):
            left, top, right, bottom = (float(v) for v in self.xyxy[index])
            class_id = int(self.class_id[index])
            return Detection((left, top, right, bottom), float(self.conf[index]), class_id, self.name(class_id))
        if not isinstance(index, slice):
            index = np.asarray(index)
            index = index.astype(np.int64) if index.size == 0 and index.dtype != bool else index
        return Detections(
            self.xyxy[index],
            self.conf[index],
            self.class_id[index],
            self.names,
            speed=self.speed,
            image=self._picture,
            source=self.source,
            age=self.age,
        )

    def __iter__(self) -> Iterator[Detection]:
        return (self[i] for i in range(len(self)))

    def __str__(self) -> str:
        counts = Counter(d.name for d in self)
        return ", ".join(f"{n} {name if n == 1 else plural(name)}" for name, n in counts.items()) or "no detections"

    def __repr__(self) -> str:
        return f"<Detections: {self}>"

    def plot(self) -> np.ndarray:
        """The picture with the boxes drawn into a copy: uint8 (H, W, 3) BGR. Needs Pillow."""
        from edgecnn.draw import draw

        image = self.image
        if image is None:
            raise InputError("these detections do not hold their picture, so there is nothing to draw on")
        return draw(image, self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the picture of `plot`; the suffix chooses the format (.jpg, .png, ...)."""
        from edgecnn.draw import write_image

        write_image(path, self.plot())

    def to_dict(self) -> dict[str, Any]:
        """Plain Python: source, size of the picture, speed, and one row per box."""
        return {
            "source": self.source,
            "width": self._picture.width if self._picture else None,
            "height": self._picture.height if self._picture else None,
            "speed": {stage: round(float(ms), 3) for stage, ms in self.speed.items()},
            "detections": [d.to_dict() for d in self],
        }

    def to_json(self, indent: int | None = None) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)

    def to_supervision(self) -> Any:
        """The same boxes as ``supervision.Detections``. Needs the package ``supervision``."""
        try:
            import supervision
        except ImportError:
            raise MissingDependency(
                "to_supervision() needs the package 'supervision': pip install supervision"
            ) from None
        return supervision.Detections(
            xyxy=self.xyxy.copy(),
            confidence=self.conf.copy(),
            class_id=self.class_id.astype(int),
            data={"class_name": np.array([d.name for d in self], dtype=str)},
        )


def plural(name: str) -> str:
    """The plural of an English label, good enough for a summary: dog -> dogs, bus -> buses, person -> people."""
    irregular = {"person": "people", "sheep": "sheep", "skis": "skis", "scissors": "scissors", "knife": "knives"}
    if name in irregular:
        return irregular[name]
    if name.endswith("mouse"):
        return name[:-5] + "mice"
    return name + ("es" if name.endswith(("s", "x", "ch", "sh")) else "s")
