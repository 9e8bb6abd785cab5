"""Darknet-19 and the YOLO family as the text of Darknet networks, so that published ``.weights`` files fit them.

Each function returns the text of a ``.cfg``. Layers are joined in order; [route] and [shortcut] count layers back.
"""

from __future__ import annotations

from collections.abc import Sequence

VOC_ANCHORS = "1.08,1.19, 3.42,4.41, 6.63,11.38, 9.42,5.11, 16.62,10.52"
YOLOV2_VOC_ANCHORS = "1.3221,1.73145, 3.19275,4.00944, 5.05587,8.09892, 9.47112,4.84053, 11.2364,10.0071"
COCO_ANCHORS = "0.57273,0.677385, 1.87446,2.06253, 3.33843,5.47434, 7.88282,3.52778, 9.77052,9.16828"
TINY_YOLO_ANCHORS = "10,14, 23,27, 37,58, 81,82, 135,169, 344,319"
YOLOV3_ANCHORS = "10,13, 16,30, 33,23, 30,61, 62,45, 59,119, 116,90, 156,198, 373,326"


def net(size: int) -> str:
    """The head of a network for RGB pictures."""
    return section("net", width=size, height=size, channels=3)


def section(kind: str, **options: object) -> str:
    """[kind] and its options."""
    return f"[{kind}]\n" + "".join(f"{key}={value}\n" for key, value in options.items()) + "\n"


def conv(
    filters: int, size: int, stride: int = 1, norm: bool = True, activation: str = "leaky", groups: int = 1
) -> str:
    """A convolution that keeps the size at stride 1."""
    options = {"batch_normalize": int(norm), "filters": filters, "size": size, "stride": stride, "pad": 1}
    if groups > 1:
        options["groups"] = groups
    return section("convolutional", **options, activation=activation)


def linear(filters: int) -> str:
    """The last convolution, whose map the head reads."""
    return conv(filters, 1, norm=False, activation="linear")


def pool(stride: int = 2) -> str:
    """2x2 max pooling; at stride 1 it keeps the size."""
    return section("maxpool", size=2, stride=stride)


def route(*layers: int) -> str:
    """The maps of earlier layers side by side."""
    return section("route", layers=",".join(map(str, layers)))


def alternating(filters: int, count: int) -> str:
    """3x3 convolutions with 1x1 ones of half the filters between them, *count* in all."""
    return "".join(conv(filters, 3) if i % 2 == 0 else conv(filters // 2, 1) for i in range(count))


def region(classes: int, anchors: str) -> str:
    """The last convolution and head of YOLOv2: five anchors."""
    return linear(5 * (5 + classes)) + section("region", anchors=anchors, classes=classes, num=5, softmax=1)


def yolo(mask: str, anchors: str, scale_xy: float = 1.0) -> str:
    """The last convolution and a head of YOLOv3: three anchors of COCO's 80 classes."""
    count = len(anchors.split(",")) // 2
    head = section("yolo", mask=mask, anchors=anchors, classes=80, num=count, scale_x_y=scale_xy)
    return linear(3 * 85) + head


def _darknet19_trunk() -> str:
    """The 18 convolutions in front of Darknet-19's classifier (YOLOv2's paper, table 6): size / 32, 1024 filters."""
    stages = [conv(32, 3), conv(64, 3), alternating(128, 3), alternating(256, 3), alternating(512, 5)]
    return pool().join(stages) + pool() + alternating(1024, 5)


def darknet19() -> str:
    """Darknet-19: 224 -> 7, mean over the map behind the last convolution."""
    return net(224) + _darknet19_trunk() + linear(1000) + section("avgpool") + section("softmax")


def yolov1() -> str:
    """YOLO (Redmon et al. 2015), figure 3: 24 convolutions, 448 -> 7, then 4096 and 7 x 7 x 30 neurons."""

    def narrow_wide(filters: int, times: int) -> str:
        return (conv(filters // 2, 1, norm=False) + conv(filters, 3, norm=False)) * times

    trunk = conv(64, 7, 2, norm=False) + pool() + conv(192, 3, norm=False) + pool()
    trunk += conv(128, 1, norm=False) + conv(256, 3, norm=False)
    trunk += conv(256, 1, norm=False) + conv(512, 3, norm=False) + pool()
    trunk += narrow_wide(512, 4) + conv(512, 1, norm=False) + conv(1024, 3, norm=False) + pool()
    trunk += narrow_wide(1024, 2) + conv(1024, 3, norm=False) + conv(1024, 3, 2, norm=False)
    trunk += conv(1024, 3, norm=False) * 2
    dense = section("connected", output=4096, activation="leaky") + section("dropout", probability=0.5)
    return net(448) + trunk + dense + _detection()


def yolov1_tiny() -> str:
    """Tiny YOLO: 448 -> 7, 1470 neurons right behind the convolutions."""
    trunk = "".join(conv(16 << i, 3) + pool() for i in range(6))
    return net(448) + trunk + conv(1024, 3) + conv(256, 3) + _detection()


def _detection() -> str:
    last = section("connected", output=7 * 7 * (20 + 2 * 5), activation="linear")
    return last + section("detection", classes=20, coords=4, side=7, num=2, softmax=0, sqrt=1)


def yolov2(size: int, classes: int, anchors: str) -> str:
    """YOLOv2: Darknet-19's trunk, two more convolutions, and 26x26 cells stacked into 13x13 ones beside them."""
    passthrough = route(-9) + conv(64, 1) + section("reorg", stride=2) + route(-1, -4)
    text = net(size) + _darknet19_trunk() + conv(1024, 3) * 2 + passthrough
    return text + conv(1024, 3) + region(classes, anchors)


def yolov2_tiny(classes: int, anchors: str, last: int) -> str:
    """Tiny-YOLOv2: 416 -> 13, *last* filters in the last 3x3 convolution."""
    text = net(416) + "".join(conv(16 << i, 3) + pool() for i in range(5)) + conv(512, 3) + pool(1)
    return text + conv(1024, 3) + conv(last, 3) + region(classes, anchors)


def yolov3() -> str:
    """YOLOv3 (Redmon, Farhadi 2018): Darknet-53, heads of 13, 26 and 52 cells."""

    def residual(filters: int, times: int) -> str:
        block = conv(filters // 2, 1) + conv(filters, 3) + section("shortcut", **{"from": -3, "activation": "linear"})
        return conv(filters, 3, 2) + block * times

    def head(filters: int, mask: str) -> str:
        return (conv(filters // 2, 1) + conv(filters, 3)) * 3 + yolo(mask, YOLOV3_ANCHORS)

    def finer(filters: int, layer: int) -> str:
        return route(-4) + conv(filters, 1) + section("upsample", stride=2) + route(-1, layer)

    trunk = conv(32, 3) + residual(64, 1) + residual(128, 2) + residual(256, 8) + residual(512, 8) + residual(1024, 4)
    heads = head(1024, "6,7,8") + finer(256, 61) + head(512, "3,4,5") + finer(128, 36) + head(256, "0,1,2")
    return net(416) + trunk + heads


def yolov3_tiny() -> str:
    """Tiny-YOLOv3: Tiny-YOLOv2's trunk, heads of 13 and 26 cells."""
    text = net(416) + "".join(conv(16 << i, 3) + pool() for i in range(5)) + conv(512, 3) + pool(1)
    text += conv(1024, 3) + conv(256, 1) + conv(512, 3) + yolo("3,4,5", TINY_YOLO_ANCHORS)
    text += route(-4) + conv(128, 1) + section("upsample", stride=2) + route(-1, 8)
    return text + conv(256, 3) + yolo("0,1,2", TINY_YOLO_ANCHORS)


def yolov4_tiny() -> str:
    """YOLOv4-tiny (Wang et al. 2020): three cross-stage partial blocks, heads of 13 and 26 cells."""

    def partial(filters: int) -> str:
        half = section("route", layers=-1, groups=2, group_id=1)
        inner = half + conv(filters // 2, 3) + conv(filters // 2, 3) + route(-1, -2)
        return conv(filters, 3) + inner + conv(filters, 1) + route(-6, -1) + pool()

    text = net(416) + conv(32, 3, 2) + conv(64, 3, 2) + partial(64) + partial(128) + partial(256)
    text += conv(512, 3) + conv(256, 1) + conv(512, 3) + yolo("3,4,5", TINY_YOLO_ANCHORS, 1.05)
    text += route(-4) + conv(128, 1) + section("upsample", stride=2) + route(-1, 23)
    return text + conv(256, 3) + yolo("1,2,3", TINY_YOLO_ANCHORS, 1.05)


YOLO_LITE = (16, 32, 64, 128, 128, 256)


def yolo_lite(
    filters: Sequence[int] = YOLO_LITE,
    size: int = 224,
    norm: bool = False,
    classes: int = 20,
    anchors: str = VOC_ANCHORS,
    pools: str = "22222",
    linear_layers: Sequence[int] = (),
    dropout: Sequence[int] = (),
    strided: bool = False,
) -> str:
    """YOLO-LITE (Huang et al. 2018) and its trials.

    *filters* of the 3x3 convolutions; *pools* has the strides of the pools behind the first ones;
    layers of *linear_layers* have no activation, behind those of *dropout* stands [dropout]. *strided*: convolutions of
    stride 2 instead of pools.
    """
    text = net(size)
    for i, count in enumerate(filters):
        stride = int(pools[i]) if i < len(pools) else 0
        activation = "linear" if i in linear_layers else "leaky"
        text += conv(count, 3, stride if strided and stride else 1, norm, activation)
        if stride and not strided:
            text += pool(stride)
        if i in dropout:
            text += section("dropout", probability=0.5)
    return text + region(classes, anchors)


def yolo_lite_trial4() -> str:
    """Trial 4, of another make: pairs of convolutions, some of 2x2, and a last one with batch norm."""
    text = net(224) + conv(5, 3) + conv(5, 3, activation="linear") + pool()
    text += conv(16, 3) + conv(64, 2, activation="linear") + pool() + conv(256, 2) + pool() + conv(128, 2) + pool(1)
    text += conv(512, 1) + conv(125, 1, activation="linear")
    return text + section("region", anchors=VOC_ANCHORS, classes=20, num=5, softmax=1)


def tiny_yolo_voc_no_batch() -> str:
    """The trials' Tiny-YOLOv2 with batch norm in its first two layers only."""
    text = net(416) + conv(16, 3) + pool() + conv(32, 3) + pool()
    text += "".join(conv(64 << i, 3, norm=False) + pool() for i in range(3)) + conv(512, 3, norm=False) + pool(1)
    return text + conv(1024, 3, norm=False) * 2 + region(20, VOC_ANCHORS)


def mobilenet_yolo(size: int = 416) -> str:
    """MobileNetV1's trunk (size / 32, 1024 filters) and the head of YOLOv2 for VOC."""
    from edgecnn.networks.modern import MOBILENET_V1

    text, channels = net(size) + conv(32, 3, 2, activation="relu"), 32
    for filters, stride in MOBILENET_V1:
        text += conv(channels, 3, stride, activation="relu", groups=channels) + conv(filters, 1, activation="relu")
        channels = filters
    return text + region(20, VOC_ANCHORS)
