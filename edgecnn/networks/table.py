"""The networks by name, and what was published of their size.

Two counts of parameters are in use: the trained ones alone (torchvision, papers), and with the means and variances of
batch norm all the numbers of a weights file (Darknet, Keras). FLOP are two per multiply-accumulate of convolutions and
fully connected layers, so a source that counts multiply-accumulates stands here twice as large.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from edgecnn.networks import classic, modern, yolo


@dataclass(frozen=True)
class Published:
    """What was published of a network; 0 where nothing was."""

    params: int = 0
    mflop: float = 0.0
    source: str = ""
    trained_only: bool = False  # params leaves out the means and variances of batch norm


@dataclass(frozen=True)
class Network:
    """A network: the function that builds it, and the shape of its picture.

    ``function`` takes ``options``, and of a classifier first the `net.Net` to which it adds the layers; of a Darknet
    network it returns the text of the ``.cfg``.
    """

    name: str
    function: Callable[..., str]
    input: tuple[int, int, int]  # channels, height, width
    published: Published
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_darknet(self) -> bool:
        """Whether it is written as a Darknet network, for which weights files exist."""
        return self.function.__module__ == yolo.__name__

    @property
    def has_head(self) -> bool:
        """Whether it is a detector."""
        return self.is_darknet and self.function is not yolo.darknet19

    @property
    def description(self) -> str:
        """What its function says of it, in a line."""
        return (self.function.__doc__ or "").split("\n")[0]


def _table() -> dict[str, Network]:
    found: dict[str, Network] = {}

    def add(name: str, function: Callable[..., str], size: int, published: Published, /, **options: Any) -> None:
        channels = 1 if function in (classic.lenet, classic.lenet_same, classic.lenet5) else 3
        found[name] = Network(name, function, (channels, size, size), published, options)

    torch = partial(Published, source="torchvision's table of models", trained_only=True)
    add("lenet", classic.lenet, 28, Published(431_080, 4.586, "Caffe's LeNet for MNIST"))
    add("lenet-same", classic.lenet_same, 28, Published(1_256_080, source="Rosebrock 2017, LeNet in Keras"))
    add("lenet5", classic.lenet5, 32, Published(61_706, source="61,706 with all of C3 connected"))
    add("alexnet", classic.alexnet, 227, Published(60_965_224, 1449, "Caffe's AlexNet: 724 M MAC"))
    cifar = "bearpaw/pytorch-classification: 2.47 M parameters"
    add("alexnet-cifar", classic.alexnet_cifar, 32, Published(2_472_266, source=cifar))
    add("vgg11", classic.vgg, 224, torch(132_863_336, 15_218), stages=classic.VGG11)
    add("vgg16", classic.vgg, 224, torch(138_357_544, 30_940), stages=classic.VGG16)
    add("vgg19", classic.vgg, 224, torch(143_667_240, 39_264), stages=classic.VGG19)
    add("minivgg", classic.minivgg, 32, Published(2_171_178, source="Rosebrock 2017, MiniVGGNet in Keras"))
    add("googlenet", modern.googlenet, 224, Published(6_998_552, 3_166, "Caffe's GoogLeNet: 1.583 G MAC"))
    rosebrock = "Rosebrock 2017, MiniGoogLeNet in Keras"
    add("mini-googlenet", modern.mini_googlenet, 32, Published(1_656_250, source=rosebrock))
    add("resnet-cifar", modern.resnet_cifar, 32, Published())
    for name, blocks, params, mflop in (
        ("resnet18", modern.RESNET18, 11_689_512, 3_628),
        ("resnet50", modern.RESNET50, 25_557_032, 8_178),
        ("resnet101", modern.RESNET101, 44_549_160, 15_602),
    ):
        bottleneck = blocks is not modern.RESNET18
        add(name, modern.resnet, 224, torch(params, mflop), blocks=blocks, bottleneck=bottleneck)
    paper = "Howard et al. 2017: 569 M mult-adds; Keras: parameters"
    add("mobilenetv1", modern.mobilenet_v1, 224, Published(4_253_864, 1_138, paper))
    add("mobilenetv2", modern.mobilenet_v2, 224, torch(3_504_872, 602))

    redmon, lite = "pjreddie.com/darknet/yolo", "Huang et al. 2018"
    data = "darknet's own .cfg"
    add("darknet19", yolo.darknet19, 224, Published(20_856_776, 5_580, "Redmon, Farhadi 2016: 5.58 Bn"))
    add("yolov1", yolo.yolov1, 448, Published(271_703_550, 40_190, f"{redmon}v1: 40.19 Bn, of a later last layer"))
    add("yolov1-tiny", yolo.yolov1_tiny, 448, Published(27_099_950, 3_216, data))
    voc = {"classes": 20, "anchors": yolo.YOLOV2_VOC_ANCHORS, "size": 416}
    coco = {"classes": 80, "anchors": yolo.COCO_ANCHORS, "size": 608}
    # The weights files have 4 bytes a parameter behind 16 (YOLOv2) or 20: 202,704,260, 203,934,260 and 248,007,048.
    add("yolov2-voc", yolo.yolov2, 416, Published(50_676_061, 29_371, "AlexeyAB/darknet prints 29.371 Bn"), **voc)
    add("yolov2", yolo.yolov2, 608, Published(50_983_561, 62_940, f"{redmon}v2: 62.94 Bn"), **coco)
    tiny = {"classes": 20, "anchors": yolo.VOC_ANCHORS, "last": 1024}
    add("yolov2-tiny-voc", yolo.yolov2_tiny, 416, Published(15_867_885, 6_970, f"{redmon}v2: 6.97 Bn"), **tiny)
    tiny = {"classes": 80, "anchors": yolo.COCO_ANCHORS, "last": 512}
    add("yolov2-tiny", yolo.yolov2_tiny, 416, Published(11_237_145, 5_410, f"{redmon}v2: 5.41 Bn"), **tiny)
    add("yolov3", yolo.yolov3, 416, Published(62_001_757, 65_860, f"{redmon}: 65.86 Bn"))
    add("yolov3-tiny", yolo.yolov3_tiny, 416, Published(8_858_734, 5_560, f"{redmon}: 5.56 Bn"))
    add("yolov4-tiny", yolo.yolov4_tiny, 416, Published(6_062_814, 6_910, "AlexeyAB/darknet: 6.9 Bn"))

    add("yolo-lite", yolo.yolo_lite, 224, Published(572_317, 482, f"{lite}: 482 MFLOP"))
    add("yolo-lite-coco-trial6", yolo.yolo_lite, 224, Published(649_417, source=data), classes=80)
    add("mobilenet-yolo", yolo.mobilenet_yolo, 416, Published())
    deep, wide = (16, 32, 64, 128, 256, 512, 1024), (16, 32, 64, 128, 256, 1024, 2048)
    short = (16, 32, 64, 512, 1024, 1024)
    tiny_voc = (*deep, 1024)
    trials: dict[str, dict[str, Any]] = {
        "1": {"filters": short, "size": 416, "norm": True, "pools": "2222", "anchors": yolo.COCO_ANCHORS},
        "2": {"filters": tiny_voc, "size": 208, "norm": True, "pools": "222221"},
        "2-nobatch": {"filters": tiny_voc, "size": 208, "pools": "222221"},
        "3": {"norm": True},
        "6": {"norm": True, "linear_layers": (0, 2, 4)},
        "8": {"norm": True, "dropout": (0, 2, 4)},
        "9": {"size": 300},
        "10": {"size": 416},
        "12": {"filters": deep, "norm": True, "pools": "222222"},
        "12-nobatch": {"filters": deep, "pools": "222222"},
        "13": {"filters": wide, "norm": True, "pools": "222221"},
        "13-nobatch": {"filters": wide, "pools": "222221"},
    }
    files = {"3": 574_189, "6": 574_189, "9": 572_317, "10": 572_317}  # the numbers in the authors' weights files
    for number, options in trials.items():
        published = Published(files.get(number, 0), source="the authors' weights" if number in files else "")
        add(f"yolo-lite-trial{number}", yolo.yolo_lite, options.get("size", 224), published, **options)
    add("yolo-lite-trial4", yolo.yolo_lite_trial4, 224, Published())
    add("tiny-yolo-voc-nobatch", yolo.tiny_yolo_voc_no_batch, 416, Published())
    return found


NETWORKS = _table()
