"""Builds docker/Dockerfile on a PC without a registry or a daemon, and runs the benchmark in the image.

    python docker/image.py [--platform linux/arm64]

The base images are made here of Debian's packages, and buildah (vfs, isolation by chroot) builds on them. Needs
Debian's buildah, mmdebstrap and, for linux/arm64, qemu-user-static, and root.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import suite
import sysroot

BUILDAH = ["buildah", "--storage-driver", "vfs", "--root", str(sysroot.REPOSITORY / "build" / "images")]
PLATFORMS = ["linux/arm64", "linux/amd64"]
PACKAGES = ["python3", "python3-pip", "libstdc++6", "dash", "coreutils", "ca-certificates"]
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


def make_base(arch: str, packages: list[str], variant: str) -> str:
    """An image of Debian with Python and pip, by mmdebstrap in one of its variants."""
    name = f"localhost/base-{variant}:{arch}"
    if name in buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
        return name
    root = sysroot.make(f"base-{variant}-{arch}", "bookworm", arch, packages, variant)
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


def build(platform: str) -> str:
    """The image for a platform; its name."""
    arch = platform.split("/")[1]
    # What compiles is installed and has apt, and this machine runs it; what the image starts from is only extracted.
    build_base = make_base("amd64", [*PACKAGES, "python3-venv", "libpython3-dev"], "apt")
    arguments = {
        "BASE": make_base(arch, PACKAGES, "extract"),
        "BUILD_BASE": build_base,
        # BuildKit knows the platforms by itself; Debian 12's buildah has to be told.
        "BUILDPLATFORM": "linux/amd64",
        "BUILDARCH": "amd64",
        "TARGETPLATFORM": platform,
        "TARGETARCH": arch,
    }
    options = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    folder = sysroot.REPOSITORY / "docker"
    image = f"localhost/edgecnn:{arch}"
    buildah(
        *("build", "--isolation", "chroot", "--platform", platform, "--pull-never", *options),
        *settings_of_this_machine(),
        *("--ignorefile", folder / "Dockerfile.dockerignore", "-f", folder / "Dockerfile", "-t", image),
        sysroot.REPOSITORY,
    )
    return image


def show(image: str) -> None:
    """Prints its size, and what edgecnn does in it."""
    print(buildah("images", "--format", "{{.Name}}:{{.Tag}} {{.Size}}", image))
    container = buildah("from", "--pull-never", image).strip()
    try:
        models = sysroot.REPOSITORY / "models"
        run = ["run", "--isolation", "chroot", "--volume", f"{models}:/work/models:ro", container, "--"]
        for command in (["sh", "-c", SHOW], DETECT, BENCH):
            print(buildah(*run, *command))
    finally:
        buildah("rm", container)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--platform", choices=PLATFORMS, default=PLATFORMS[0])
    platform = parser.parse_args().platform
    if not shutil.which("buildah"):
        sys.exit("image.py: buildah is not installed (Debian: buildah)")
    try:
        if platform == "linux/arm64":
            suite.register_qemu(suite.ARM64)
        show(build(platform))
    except (FileNotFoundError, RuntimeError) as error:
        sys.exit(f"image.py: {error}")


if __name__ == "__main__":
    main()
