"""GoogLeNet, ResNet and MobileNet: networks of modules."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.networks.net import RESIDUAL_GAIN, Net

# GoogLeNet (Szegedy et al. 2014), table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj.
INCEPTION_3 = (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)
INCEPTION_4 = (
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
)
INCEPTION_5 = (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)


def googlenet(net: Net) -> str:
    """GoogLeNet without its auxiliary classifiers: 224 -> 112 -> 56 -> 28 -> 14 -> 7."""
    x = net.lrn(net.max_pool(net.conv(net.input, 64, 7, 2), 3, 2, ceil=True))
    x = net.lrn(net.conv(net.conv(x, 64, 1), 192, 3))
    for stage in (INCEPTION_3, INCEPTION_4, INCEPTION_5):
        x = net.max_pool(x, 3, 2, ceil=True)
        for widths in stage:
            x = _inception(net, x, widths)
    return net.softmax(net.dense(net.dropout(net.average_pool(x), 0.4), 1000))


def _inception(net: Net, x: str, widths: Sequence[int]) -> str:
    one, reduce3, three, reduce5, five, projection = widths
    return net.concat(
        net.conv(x, one, 1),
        net.conv(net.conv(x, reduce3, 1), three, 3),
        net.conv(net.conv(x, reduce5, 1), five, 5),
        net.conv(net.max_pool(x, 3, 1, padding=1), projection, 1),
    )


def mini_googlenet(net: Net) -> str:
    """MiniGoogLeNet for CIFAR (Zhang et al. 2017, figure 3): 32 -> 15 -> 7."""
    x = _conv_module(net, net.input, 96, 3)
    for one, three in ((32, 32), (32, 48)):
        x = _mini_inception(net, x, one, three)
    x = _downsample(net, x, 80)
    for one, three in ((112, 48), (96, 64), (80, 80), (48, 96)):
        x = _mini_inception(net, x, one, three)
    x = _downsample(net, x, 96)
    for one, three in ((176, 160), (176, 160)):
        x = _mini_inception(net, x, one, three)
    return net.softmax(net.dense(net.dropout(net.average_pool(x, 7), 0.5), 10))


def _conv_module(net: Net, x: str, filters: int, size: int, stride: int = 1, padding: int | None = None) -> str:
    """With a bias, although the batch norm behind it makes it idle: so the table counts."""
    return net.conv(x, filters, size, stride, padding, norm=True, bias=True)


def _mini_inception(net: Net, x: str, one: int, three: int) -> str:
    return net.concat(_conv_module(net, x, one, 1), _conv_module(net, x, three, 3))


def _downsample(net: Net, x: str, filters: int) -> str:
    return net.concat(_conv_module(net, x, filters, 3, 2, padding=0), net.max_pool(x, 3, 2))


def resnet_cifar(net: Net) -> str:
    """ResNet for CIFAR: stages of 9, 9, 9 pre-activation bottlenecks, filters 64, then 64, 128, 256: 32 -> 16 -> 8."""
    x = net.conv(net.norm(net.input), 64, 3, bias=False, activation="")
    for stage, filters in enumerate((64, 128, 256)):
        x = _pre_activation(net, x, filters, 1 if stage == 0 else 2, project=True)
        for _ in range(8):
            x = _pre_activation(net, x, filters)
    x = net.activate(net.norm(x), "relu")
    return net.softmax(net.dense(net.average_pool(x, 8), 10))


def _pre_activation(net: Net, x: str, filters: int, stride: int = 1, project: bool = False) -> str:
    """He et al. 2016: norm and activation stand before each convolution; the first pair feeds the projection too."""
    inner = filters // 4
    ready = net.activate(net.norm(x), "relu")
    y = net.conv(ready, inner, 1, norm=True)
    y = net.conv(y, inner, 3, stride, norm=True)
    y = net.conv(y, filters, 1, activation="", bias=False, gain=RESIDUAL_GAIN)
    shortcut = net.conv(ready, filters, 1, stride, activation="", bias=False) if project else x
    return net.add(y, shortcut)


RESNET18, RESNET50, RESNET101 = (2, 2, 2, 2), (3, 4, 6, 3), (3, 4, 23, 3)


def resnet(net: Net, blocks: Sequence[int], bottleneck: bool) -> str:
    """ResNet (He et al. 2015), table 1: 224 -> 112 -> 56 -> 28 -> 14 -> 7; bottlenecks stride in their 3x3."""
    x = net.max_pool(net.conv(net.input, 64, 7, 2, norm=True), 3, 2, padding=1)
    for stage, count in enumerate(blocks):
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            x = (_bottleneck if bottleneck else _basic)(net, x, 64 << stage, stride)
    return net.softmax(net.dense(net.average_pool(x), 1000))


def _basic(net: Net, x: str, filters: int, stride: int) -> str:
    y = net.conv(x, filters, 3, stride, norm=True)
    y = net.conv(y, filters, 3, norm=True, activation="", gain=RESIDUAL_GAIN)
    return net.add(y, _shortcut(net, x, filters, stride), "relu")


def _bottleneck(net: Net, x: str, filters: int, stride: int) -> str:
    y = net.conv(x, filters, 1, norm=True)
    y = net.conv(y, filters, 3, stride, norm=True)
    y = net.conv(y, 4 * filters, 1, norm=True, activation="", gain=RESIDUAL_GAIN)
    return net.add(y, _shortcut(net, x, 4 * filters, stride), "relu")


def _shortcut(net: Net, x: str, filters: int, stride: int) -> str:
    if stride == 1 and net.shape(x)[-1] == filters:
        return x
    return net.conv(x, filters, 1, stride, norm=True, activation="")


# Filters and stride of each separable convolution.
MOBILENET_V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)) + ((512, 1),) * 5 + ((1024, 2), (1024, 1))


def mobilenet_v1(net: Net) -> str:
    """MobileNet (Howard et al. 2017), table 1: depthwise 3x3 and pointwise 1x1: 224 -> 112 -> 56 -> 28 -> 14 -> 7."""
    x = net.conv(net.input, 32, 3, 2, norm=True)
    for filters, stride in MOBILENET_V1:
        x = net.conv(net.depthwise(x, 3, stride), filters, 1, norm=True)
    return net.softmax(net.dense(net.average_pool(x), 1000))


# Expansion, filters, blocks, stride of the first block (Sandler et al. 2018, table 2).
MOBILENET_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(net: Net) -> str:
    """MobileNetV2: inverted residuals with linear bottlenecks: 224 -> 112 -> 56 -> 28 -> 14 -> 7."""
    x = net.conv(net.input, 32, 3, 2, activation="relu6", norm=True)
    for expansion, filters, blocks, first in MOBILENET_V2:
        for block in range(blocks):
            x = _inverted_residual(net, x, expansion, filters, first if block == 0 else 1)
    x = net.average_pool(net.conv(x, 1280, 1, activation="relu6", norm=True))
    return net.softmax(net.dense(net.dropout(x, 0.2), 1000))


def _inverted_residual(net: Net, x: str, expansion: int, filters: int, stride: int) -> str:
    channels = net.shape(x)[-1]
    y = net.conv(x, expansion * channels, 1, activation="relu6", norm=True) if expansion > 1 else x
    y = net.depthwise(y, 3, stride, activation="relu6")
    if stride == 1 and channels == filters:
        return net.add(net.conv(y, filters, 1, activation="", norm=True, gain=RESIDUAL_GAIN), x)
    return net.conv(y, filters, 1, activation="", norm=True)
