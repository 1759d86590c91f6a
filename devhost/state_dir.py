"""The host's state directory, held by one host at a time.

The hold is an advisory lock of the operating system on an open file. It ends with the process, however the process
ends, so a killed host never blocks the next one.
"""

import fcntl
import os
from pathlib import Path
from typing import Self

from devhost.errors import StartError


class StateDir:
    """A directory this process alone may use until `close`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path) -> Self:
        """Create `path` where needed and hold it.

        Raises `StartError` when another host holds it (with that host's process id), or it cannot be written.
        """
        if path.exists() and not path.is_dir():
            raise StartError(f"the state directory {path} cannot be used: it is a file")
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as refused:
            raise StartError(f"the state directory {path} cannot be used: {refused.strerror}") from refused
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise StartError(
                f"the state directory {path} is used by another host (process {holder}):"
                " stop that one, or choose another with --state-dir"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        ignore = path / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="ascii")
        return cls(path, descriptor)

    def close(self) -> None:
        """Let the directory go."""
        os.close(self._descriptor)
