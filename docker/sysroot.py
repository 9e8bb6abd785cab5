"""Folders with Debian's packages for another architecture: what wheels are built against, and tests run in.

They are made by mmdebstrap in build/sysroot/, once each. MIRROR in the environment names another mirror of Debian.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / "build" / "sysroot"
MIRROR = os.environ.get("MIRROR", "http://deb.debian.org/debian")


def extract(name: str, release: str, arch: str, packages: list[str]) -> Path:
    """FOLDER/name, with the files of packages and of all that they depend on.

    Nothing is installed, so none of it need run here; what packages do when they are installed is not done.
    """
    return make(name, release, arch, packages, "extract")


def make(name: str, release: str, arch: str, packages: list[str], variant: str) -> Path:
    """FOLDER/name by mmdebstrap, in one of its variants, unless it is there."""
    root = FOLDER / name
    if root.exists():
        return root
    if not shutil.which("mmdebstrap"):
        raise FileNotFoundError("mmdebstrap is not installed")
    FOLDER.mkdir(parents=True, exist_ok=True)
    unfinished = FOLDER / f".{name}.{os.getpid()}"
    command = ["mmdebstrap", f"--variant={variant}", f"--arch={arch}", f"--include={','.join(packages)}"]
    result = subprocess.run([*command, release, str(unfinished), MIRROR], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(result.args)}: {result.stderr[-2000:]}")
    for link in unfinished.rglob("*"):
        # A linker reads the links of a sysroot from outside, where /lib is another folder.
        if link.is_symlink() and os.readlink(link).startswith("/"):
            target = unfinished / os.readlink(link)[1:]
            link.unlink()
            link.symlink_to(os.path.relpath(target, link.parent))
    unfinished.rename(root)
    return root
