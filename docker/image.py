"""Builds docker/Dockerfile for linux/arm64 without a registry or a daemon, and runs the benchmark in the image.

    python docker/image.py

The base images are made here of Debian's packages, and buildah (vfs, isolation by chroot) builds on them. Needs
Debian's buildah, mmdebstrap and qemu-user-static, and root.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import suite
import sysroot

BUILDAH = ["buildah", "--storage-driver", "vfs", "--root", str(sysroot.REPOSITORY / "build" / "images")]
IMAGE = "localhost/edgecnn:arm64"
SHOW = "id -u; uname -m; du -sm /opt/edgecnn; command -v gcc g++ cc c++ ld || echo no compiler"
DETECT = ["edgecnn", "detect", "models/demo.png", "--model", "digits", "--boxes"]
BENCH = ["edgecnn-bench", "digits", "--backend", "native", "--threads", "1,2", "--frames", "10"]


def buildah(*arguments: object) -> str:
    """Runs buildah; what it printed."""
    command = [*BUILDAH, *map(str, arguments)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {result.returncode}\n{result.stdout}")
    return result.stdout


def make_base(arch: str) -> str:
    """An image of Debian with Python and pip; one to build in, for this machine, is installed and has apt."""
    name = f"localhost/base:{arch}"
    if name in buildah("images", "--format", "{{.Name}}:{{.Tag}}"):
        return name
    packages = ["python3", "python3-pip", "python3-venv", "libstdc++6", "dash", "coreutils", "ca-certificates"]
    root = sysroot.make(f"base-{arch}", "bookworm", arch, packages, "extract" if arch == "arm64" else "apt")
    if not (root / "bin" / "sh").exists():
        (root / "bin" / "sh").symlink_to("dash")
    container = buildah("from", "--arch", arch, "scratch").strip()
    buildah("copy", container, root, "/")
    buildah("config", "--arch", arch, container)
    buildah("commit", "--rm", container, name)
    return name


def settings_of_this_machine() -> list[str]:
    """How pip reaches its index from here; seen while the image is built, not part of it."""
    paths = ["/etc/pip.conf", "/etc/ssl/certs", os.environ.get("PIP_FIND_LINKS", "")]
    return [word for path in paths if path and Path(path).exists() for word in ("--volume", f"{path}:{path}:ro")]


def main() -> None:
    suite.register_qemu(suite.ARM64)
    bases = {"BASE": make_base("arm64"), "BUILD_BASE": make_base("amd64")}
    # BuildKit knows the platforms by itself; Debian 12's buildah has to be told.
    platforms = {"BUILDPLATFORM": "linux/amd64", "BUILDARCH": "amd64", "TARGETARCH": "arm64"}
    platforms["TARGETPLATFORM"] = "linux/arm64"
    arguments = {**bases, **platforms}
    options = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    folder = sysroot.REPOSITORY / "docker"
    buildah(
        *("build", "--isolation", "chroot", "--platform", "linux/arm64", "--pull-never", "--layers", *options),
        *settings_of_this_machine(),
        *("--ignorefile", folder / "Dockerfile.dockerignore", "-f", folder / "Dockerfile", "-t", IMAGE),
        sysroot.REPOSITORY,
    )
    print(buildah("images", "--format", "{{.Name}}:{{.Tag}} {{.Size}}", IMAGE))
    container = buildah("from", "--pull-never", IMAGE).strip()
    try:
        models = sysroot.REPOSITORY / "models"
        run = ["run", "--isolation", "chroot", "--volume", f"{models}:/work/models:ro", container, "--"]
        for command in (["sh", "-c", SHOW], DETECT, BENCH):
            print(buildah(*run, *command))
    finally:
        buildah("rm", container)


if __name__ == "__main__":
    main()
