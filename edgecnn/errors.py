"""Everything that edgecnn raises on purpose.

    EdgeCNNError
    ├── ModelError               the model file cannot be used
    │   ├── ModelFormatError     damaged, truncated or not of the kind its name says
    │   └── UnsupportedOperator  well-formed, but uses something that edgecnn does not do
    ├── InputError               what was given to run(), a Detector or a Classifier does not fit
    ├── BackendError             a backend failed, or cannot run this model
    ├── MemoryLimit              a model needs more memory than it may have
    ├── MissingDependency        an optional package is absent; the message names the extra to install
    ├── DownloadError            a zoo model could not be fetched or did not match its checksum
    └── ClosedError              a Predictor was used after close()

Each message names the file, layer or shape concerned and says what to do.
"""

from __future__ import annotations


class EdgeCNNError(Exception):
    """Base class of all errors raised by edgecnn."""


class ModelError(EdgeCNNError):
    """A model file cannot be used."""


class ModelFormatError(ModelError):
    """A model file is damaged, truncated, or not of the kind its name says."""


class UnsupportedOperator(ModelError):
    """A well-formed model uses an operator, attribute or type that edgecnn does not support."""


class InputError(EdgeCNNError, ValueError):
    """An argument has the wrong name, shape, dtype or value."""


class BackendError(EdgeCNNError):
    """A backend failed while loading or running a model."""


class MemoryLimit(EdgeCNNError):
    """A model needs more memory than ``max_memory`` allows; the message has both figures."""


class MissingDependency(EdgeCNNError, ImportError):
    """An optional package is not installed."""

    @classmethod
    def for_extra(cls, package: str, extra: str, purpose: str) -> MissingDependency:
        """The error for *package*, which *purpose* needs and ``pip install edgecnn[extra]`` brings."""
        return cls(f"{purpose} needs the package {package!r}: pip install 'edgecnn[{extra}]'")


class DownloadError(EdgeCNNError):
    """A zoo model could not be fetched, or what came did not match its checksum."""


class ClosedError(EdgeCNNError):
    """A Predictor was used after close()."""
