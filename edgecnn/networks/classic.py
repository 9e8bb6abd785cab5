"""LeNet, AlexNet, VGG and their small relatives: convolutions, pools, and fully connected layers at the end."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.networks.net import Net


def lenet(net: Net) -> str:
    """LeNet for MNIST, 20-50-500-10: 28 -> 24 -> 12 -> 8 -> 4. Caffe's; `lenet-digits` of the zoo is this network."""
    x = net.max_pool(net.conv(net.input, 20, 5, padding=0), 2, 2)
    x = net.max_pool(net.conv(x, 50, 5, padding=0), 2, 2)
    return net.softmax(net.dense(net.dense(x, 500, "relu"), 10))


def lenet_same(net: Net) -> str:
    """LeNet 20-50-500-10 whose convolutions keep the size: 28 -> 14 -> 7."""
    x = net.max_pool(net.conv(net.input, 20, 5), 2, 2)
    x = net.max_pool(net.conv(x, 50, 5), 2, 2)
    return net.softmax(net.dense(net.dense(x, 500, "relu"), 10))


def lenet5(net: Net) -> str:
    """LeNet-5 (LeCun et al. 1998), with all maps of C3 connected: 32 -> 28x6 -> 14 -> 10x16 -> 5 -> 120 -> 84 -> 10."""
    x = net.average_pool(net.conv(net.input, 6, 5, padding=0, activation="tanh"), 2, 2)
    x = net.average_pool(net.conv(x, 16, 5, padding=0, activation="tanh"), 2, 2)
    x = net.conv(x, 120, 5, padding=0, activation="tanh")
    return net.softmax(net.dense(net.dense(x, 84, "tanh"), 10))


def alexnet(net: Net) -> str:
    """AlexNet (Krizhevsky et al. 2012), 227 -> 55 -> 27 -> 13 -> 6; its two halves are groups."""
    x = net.lrn(net.conv(net.input, 96, 11, 4, padding=0))
    x = net.lrn(net.conv(net.max_pool(x, 3, 2), 256, 5, groups=2))
    x = net.conv(net.max_pool(x, 3, 2), 384, 3)
    x = net.conv(x, 384, 3, groups=2)
    x = net.max_pool(net.conv(x, 256, 3, groups=2), 3, 2)
    x = net.dropout(net.dense(x, 4096, "relu"), 0.5)
    x = net.dropout(net.dense(x, 4096, "relu"), 0.5)
    return net.softmax(net.dense(x, 1000))


def alexnet_cifar(net: Net) -> str:
    """AlexNet shrunk to pictures of 32x32: 8 -> 4 -> 4 -> 2 -> 1."""
    x = net.max_pool(net.conv(net.input, 64, 11, 4, padding=5), 2, 2)
    x = net.max_pool(net.conv(x, 192, 5), 2, 2)
    x = net.conv(net.conv(x, 384, 3), 256, 3)
    return net.softmax(net.dense(net.max_pool(net.conv(x, 256, 3), 2, 2), 10))


VGG11 = (64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2
VGG16 = (64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3
VGG19 = (64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4


def vgg(net: Net, stages: Sequence[Sequence[int]]) -> str:
    """VGG (Simonyan, Zisserman 2014), configurations A, D, E: 224 -> 112 -> 56 -> 28 -> 14 -> 7."""
    x = net.input
    for stage in stages:
        for filters in stage:
            x = net.conv(x, filters, 3)
        x = net.max_pool(x, 2, 2)
    x = net.dropout(net.dense(x, 4096, "relu"), 0.5)
    x = net.dropout(net.dense(x, 4096, "relu"), 0.5)
    return net.softmax(net.dense(x, 1000))


def minivgg(net: Net) -> str:
    """MiniVGGNet for CIFAR: batch norm behind each activation, 32 -> 16 -> 8."""
    x = net.input
    for filters in (32, 64):
        x = net.norm(net.conv(x, filters, 3))
        x = net.norm(net.conv(x, filters, 3))
        x = net.dropout(net.max_pool(x, 2, 2), 0.25)
    x = net.dropout(net.norm(net.dense(x, 512, "relu")), 0.5)
    return net.softmax(net.dense(x, 10))
