"""Lists of class names: VOC's 20 and COCO's 80, in the order that Darknet and the papers use."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors import ModelError, ModelFormatError

_VOC = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person pottedplant "
    "sheep sofa train tvmonitor"
)

_COCO = (
    "person,bicycle,car,motorbike,aeroplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,"
    "bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,"
    "skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,"
    "cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,sofa,"
    "pottedplant,bed,diningtable,toilet,tvmonitor,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"
    "refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
)

VOC, COCO = tuple(_VOC.split()), tuple(_COCO.split(","))

KNOWN = {"voc": VOC, "coco": COCO}


def default_labels(count: int) -> tuple[str, ...]:
    """VOC's names for 20 classes, COCO's for 80, else "class 0", "class 1", ..."""
    for labels in KNOWN.values():
        if len(labels) == count:
            return labels
    return tuple(f"class {i}" for i in range(count))


def read_labels(path: Path) -> tuple[str, ...]:
    """The lines of a ``.names`` file (UTF-8), without empty ones at its end."""
    try:
        if path.stat().st_size > 1 << 20:
            raise ModelFormatError(f"{path}: larger than 1 MiB, so not a list of class names")
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be read as text: {error}") from error
    return tuple(line.strip() for line in text.rstrip().splitlines())
