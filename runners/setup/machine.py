"""What computes: versions of the code and its libraries, and the processor, on which rounding depends."""

from __future__ import annotations

import contextlib
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ...version import __version__

LIBRARIES = (
    "numpy",
    "numba",
    "gymnasium",
    "scipy",
    "torch",
    "scikit-learn",
    "deap",
    "cmaes",
    "neat-python",
    "stable-baselines3",
    "sb3-contrib",
)

NO_CODE = (":!docs", ":!benchmarks", ":!tests")
"""What no run depends on, so that results may be written into the checkout."""


def versions() -> dict[str, str]:
    """Names to versions: of meze, Python, and the libraries that are installed and compute."""
    found = {"meze": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def commit() -> str | None:
    """The commit of the checkout that runs, with `-dirty` where code was changed; None outside of one."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    head = _git(root, "rev-parse", "HEAD")
    if head is None:
        return None
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *NO_CODE)
    return head + ("-dirty" if changed else "")


def _git(root: Path, *words: str) -> str | None:
    """What git says; None where it can't."""
    command = ["git", "-C", str(root), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def cpu() -> str:
    """The processor's model, or what is known of it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
