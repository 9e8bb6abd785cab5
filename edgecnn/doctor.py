"""What edgecnn finds on this machine: CPU, kernels, backends, and what slows a board down."""

from __future__ import annotations

import os
import platform
from typing import Any

from edgecnn import __version__
from edgecnn.benchmark import machine

BACKENDS = {
    "onnxruntime": ("onnxruntime",),
    "tflite": ("ai_edge_litert", "tflite_runtime", "tensorflow"),
}
OPTIONAL = {"onnx": "onnx", "OpenCV": "cv2", "Pillow": "PIL", "platformdirs": "platformdirs"}


def examine() -> dict[str, Any]:
    """The findings as plain data, ready for JSON."""
    import numpy

    findings: dict[str, Any] = {"edgecnn": __version__, "python": platform.python_version(), "numpy": numpy.__version__}
    findings["machine"] = machine.describe()
    findings["native"] = _native()
    findings["backends"] = {name: _first_version(modules) for name, modules in BACKENDS.items()}
    findings["packages"] = {name: _first_version((module,)) for name, module in OPTIONAL.items()}
    findings["environment"] = {k: v for k, v in sorted(os.environ.items()) if k.startswith("EDGECNN_")}
    findings["advice"] = _advice(findings)
    return findings


def as_text(findings: dict[str, Any]) -> str:
    """The findings for people."""
    m = findings["machine"]
    native = findings["native"]
    lines = [
        f"edgecnn {findings['edgecnn']}, Python {findings['python']}, numpy {findings['numpy']}, {m['system']}",
        f"CPU          {m['cpu']}, {m['cores']} cores{_clock(m)}",
        f"memory       {m['memory_mib']} MiB, {m['available_mib']} MiB available" if m["memory_mib"] else "",
        f"board        {m['board']}" if m["board"] else "",
        f"governor     {m['governor'] or 'not reported'}",
        f"temperature  {m['temperature_c']:.1f} C" if m["temperature_c"] is not None else "temperature  not reported",
        f"throttling   {m['throttling']}" if m["throttling"] else "",
        "native       " + (_native_text(native) if "error" not in native else f"absent: {native['error']}"),
    ]
    for kind in ("backends", "packages"):
        for name, found in findings[kind].items():
            lines.append(f"{name:<12} {found or 'not installed'}")
    lines += [f"{name}={value}" for name, value in findings["environment"].items()]
    lines += [f"advice: {line}" for line in findings["advice"]]
    return "\n".join(line for line in lines if line)


def _native() -> dict[str, Any]:
    try:
        from edgecnn import _core
    except ImportError as error:
        return {"error": str(error)}
    runnable = [target["name"] for target in _core.targets() if target["supported"]]
    return {**_core.cpu_info(), "targets": runnable}


def _native_text(info: dict[str, Any]) -> str:
    caches = ", ".join(
        f"{label} {info[key] // 1024} KiB" for label, key in (("L1d", "l1d_bytes"), ("L2", "l2_bytes")) if info.get(key)
    )
    others = ", ".join(name for name in info["targets"] if name != info["target"])
    return f"{info['target']}" + (f" (also runs {others})" if others else "") + (f", {caches}" if caches else "")


def _clock(m: dict[str, Any]) -> str:
    if not m["max_mhz"]:
        return ""
    now = f", now {m['mhz']:.0f}" if m["mhz"] else ""
    return f", up to {m['max_mhz']:.0f} MHz{now}"


def _first_version(modules: tuple[str, ...]) -> str | None:
    """Name and version of the first of these modules that is installed; they are not imported."""
    from importlib import metadata, util

    distributions = {"cv2": ("opencv-python-headless", "opencv-python"), "PIL": ("Pillow",)}
    for module in modules:
        if util.find_spec(module) is None:
            continue
        for distribution in distributions.get(module, (module, module.replace("_", "-"))):
            try:
                return f"{distribution} {metadata.version(distribution)}"
            except metadata.PackageNotFoundError:
                continue
        return f"{module} (version unknown)"
    return None


def _advice(findings: dict[str, Any]) -> list[str]:
    m = findings["machine"]
    advice = []
    if m["governor"] not in (None, "performance"):
        advice.append(f"the governor is {m['governor']}; 'performance' gives steady times while benchmarking")
    if m["temperature_c"] is not None and m["temperature_c"] >= 75:
        advice.append("the CPU is hot; most boards slow down from 80 C on: add a heat sink or a fan")
    if m["throttling"] and m["throttling"] != "none":
        advice.append("the board has been throttled: check power supply and cooling")
    if "error" in findings["native"]:
        advice.append(
            "the native backend is not built: pip install . from the source tree, with a C++ compiler present"
        )
    return advice
