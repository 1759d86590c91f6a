"""What must not stand in a tracked file: paths of one machine, registry hosts, secrets.

Each pattern is put together from pieces, so that this file does not contain what it looks for.
"""

import re
import subprocess
from pathlib import Path

_SLASH = "/"

MACHINE_PATHS = (
    _SLASH + r"home/[a-z_][a-z0-9_-]*/",
    _SLASH + r"Users/[A-Za-z]",
    _SLASH + r"root(/|\b(?=\s|$))",
    _SLASH + r"work/(main|shared|tmp)",
    r"[A-Z]:\\" + r"Users\\",
)
REGISTRIES = (
    "pypi" + r"\.org",
    "python" + r"hosted\.org",
    "npm" + r"js\.(org|com)",
    "yarn" + r"pkg\.com",
    "proxy" + r"\.golang\.org",
    r"(?<![\w-])--(extra-)?index" + r"-url\b",
    "PIP_" + "(EXTRA_)?INDEX_URL",
    "UV_" + "(DEFAULT_)?INDEX",
    "arti" + "factory",
)
SECRETS = (
    r"\bsk-" + r"[A-Za-z0-9_-]{20,}",
    r"\bgh[pousr]_" + r"[A-Za-z0-9]{30,}",
    r"\bAKIA" + r"[0-9A-Z]{16}\b",
    r"\bxox[abprs]-" + r"[A-Za-z0-9-]{10,}",
    r"-----BEGIN " + r"[A-Z ]*PRIVATE KEY-----",
    "(Shared" + r"Access|Account)Key=[A-Za-z0-9+/]{40,}={0,2}",
    r"\beyJ" + r"[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.",
)

_FORBIDDEN = re.compile("|".join(f"(?:{pattern})" for pattern in (*MACHINE_PATHS, *REGISTRIES, *SECRETS)))
_UNTRACKED = {".git", ".venv", ".devhost", ".muster", "__pycache__", "node_modules", ".mypy_cache", ".ruff_cache"}


def leaks(text: str) -> list[str]:
    """The lines of `text` that hold something forbidden, each with its number and never in full."""
    return [
        f"line {number}: {match.group()[:12]}..."
        for number, line in enumerate(text.splitlines(), start=1)
        if (match := _FORBIDDEN.search(line))
    ]


def tracked_files(root: Path) -> list[Path]:
    """The files of the repository; where there is no git, every file that is not made by a tool."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
        names = [name for name in listed.stdout.decode().split("\0") if name]
        return [path for name in names if (path := root / name).is_file()]
    except (OSError, subprocess.CalledProcessError):
        found = (path for path in root.rglob("*") if not _UNTRACKED.intersection(path.relative_to(root).parts))
        return [path for path in found if path.is_file()]
