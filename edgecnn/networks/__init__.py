"""The networks of the papers, by name, as graphs with random weights: to time, compare and study them.

    edgecnn.load("resnet18", weights="random")

`table` lists them, with what was published of their size. `classic` and `modern` hold classifiers, written with the
vocabulary of `net`; `yolo` holds Darknet's, which take published ``.weights`` files too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgecnn.errors import InputError, ModelError
from edgecnn.networks.table import NETWORKS, Network, Published

if TYPE_CHECKING:
    from edgecnn.graph.ir import Graph

__all__ = ["NETWORKS", "Network", "Published", "build_network", "is_network"]


def is_network(path: str | os.PathLike[str]) -> bool:
    """Whether *path* is the name of a network, and no file is called so."""
    return os.fspath(path) in NETWORKS and not os.path.exists(path)


def build_network(
    name: str,
    weights: str | os.PathLike[str] | None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
) -> Graph:
    """The graph of a network.

    Parameters
    ----------
    name
        One of `NETWORKS`.
    weights
        "random" or "random:SEED"; of Darknet's networks also a ``.weights`` file.
    input_shapes
        {"input": (N, C, H, W)} for another size than the paper's.

    Raises
    ------
    ModelError
        There are no weights.
    InputError
        An argument does not fit.
    """
    network = NETWORKS[name]
    if weights is None:
        file = "; or give its .weights file" if network.is_darknet else ""
        raise ModelError(
            f"{name}: a network without trained weights. weights='random' gives random ones: enough to time it, "
            f"but what it finds means nothing{file}"
        )
    if network.is_darknet:
        from edgecnn.importers.darknet import import_text

        return import_text(name, network.function(**network.options), weights, input_shapes)
    kind, _, seed = os.fspath(weights).partition(":")
    if kind != "random" or (seed and not (seed.isdecimal() and len(seed) < 10)):
        raise InputError(
            f"{name}: weights={os.fspath(weights)!r}: this network takes 'random' or 'random:SEED' (nine digits)"
        )
    shape: tuple[int, ...] = network.input
    for key, wanted in (input_shapes or {}).items():
        if key != "input" or len(wanted) != 4 or min(wanted) < 1 or wanted[1] != network.input[0]:
            raise InputError(f"{name}: {key!r} cannot have shape {tuple(wanted)}: 'input' is (N, {shape[0]}, H, W)")
        shape = tuple(int(d) for d in wanted)
    from edgecnn.networks.net import Net

    net = Net(name, shape, int(seed or 0))
    return net.finish(network.function(net, **network.options))
