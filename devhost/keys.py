"""The host's keys: made once, kept in files only their owner can read, compared in constant time.

`default` opens functions of auth level `function`, `master` opens everything, `durabletask` is the system key of the
Durable management endpoints: the same three kinds, with the same powers, as a function app has in Azure.
"""

import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FUNCTION_KEY: Final = "default"
ADMIN_KEY: Final = "master"
DURABLE_KEY: Final = "durabletask"
NAMES: Final = (FUNCTION_KEY, ADMIN_KEY, DURABLE_KEY)


@dataclass(frozen=True, slots=True)
class HostKeys:
    """The keys and their folder. `fresh` tells that they were made just now and have not been shown yet."""

    folder: Path
    values: Mapping[str, str]
    fresh: bool

    def opens(self, presented: str | None, *names: str) -> bool:
        """Whether `presented` is one of the named keys, in time that does not depend on where it differs."""
        # Header bytes that are no UTF-8 arrive as lone surrogates.
        given = (presented or "").encode(errors="surrogateescape")
        # Every comparison is made, so that time does not tell which key was tried.
        equal = [hmac.compare_digest(given, self.values[name].encode()) for name in names]
        return any(equal)

    def __repr__(self) -> str:
        return f"HostKeys(folder={str(self.folder)!r})"


def load_keys(folder: Path) -> HostKeys:
    """The keys in `folder`, one file each; those that are missing or empty are made.

    Files are created with mode 0600 and put in place whole, so that a crash leaves either no key or a complete one.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = [name for name in NAMES if not _read(folder / name)]
    for name in made:
        _write(folder / name, secrets.token_urlsafe(32))
    return HostKeys(folder, {name: _read(folder / name) for name in NAMES}, fresh=bool(made))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def _write(path: Path, value: str) -> None:
    partial = path.with_name(f".{path.name}.new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        os.fchmod(descriptor, 0o600)
        file.write(f"{value}\n")
    partial.replace(path)
