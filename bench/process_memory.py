"""A process's memory, from the kernel's own account of it."""

from pathlib import Path


def memory_mib(pid: int, field: str) -> float:
    """`VmRSS` (now) or `VmHWM` (peak) of process `pid`, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{pid}/status has no {field}")


def reset_peak(pid: int) -> None:
    """Let `VmHWM` of process `pid`, one's own child, begin again at what it uses now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
