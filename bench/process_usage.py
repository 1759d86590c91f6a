"""A process's memory and CPU, from the kernel's own account of it."""

import os
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """What process `pid` has used of the processors so far, its own code and the kernel's for it (proc(5), `stat`)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int, field: str) -> float:
    """`VmRSS` (now) or `VmHWM` (peak) of process `pid`, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{pid}/status has no {field}")


def reset_peak(pid: int) -> None:
    """Let `VmHWM` of process `pid`, one's own child, begin again at what it uses now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
