"""The workloads that every engine of durable functions is measured by. Nothing here needs a package: it runs anywhere.

A step is an async function that does nothing and returns a hundred bytes, kept durably by the engine.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

ANSWER = "x" * 100
NAPPING = 1000
CHAIN, CROWD, LONG = 10, 200, 400
ALONE, FANS = 30, {10: 15, 100: 7, 1000: 3}
LONGS = 3


class DurableEngine(Protocol):
    """Starts one orchestration and returns once it has finished."""

    async def chain(self, steps: int) -> None:
        """Steps one after another."""
        ...

    async def fan(self, width: int) -> None:
        """Steps at once."""
        ...

    async def naps(self, width: int) -> None:
        """Steps at once, of which step number n sleeps `nap(n)` seconds."""
        ...


def nap(number: int) -> float:
    """From 0 to 1 s, evenly, in no order."""
    return (number * 7919 % NAPPING) / NAPPING


async def measure(engine: DurableEngine, *, naps: bool = True) -> dict[str, float]:
    """All measurements: milliseconds, seconds, steps a second or MiB, as their names say. Medians where repeated."""
    found: dict[str, float] = {}
    await _median(3, lambda: engine.chain(CHAIN))
    found["chain_ms"] = 1000 * await _median(ALONE, lambda: engine.chain(CHAIN))
    for width, times in FANS.items():
        found[f"fan_{width}_ms"] = 1000 * await _median(times, lambda width=width: engine.fan(width))  # type: ignore[misc]
    found["long_s"] = await _median(LONGS, lambda: engine.chain(LONG))
    if naps:
        found["naps_s"] = await _median(3, lambda: engine.naps(NAPPING))
    crowds = [await _crowd(engine) for _ in range(3)]
    found["crowd_steps_s"] = statistics.median(rate for rate, _ in crowds)
    found["cpu_ms_step"] = statistics.median(cpu for _, cpu in crowds)
    found["peak_mib"] = _peak_mib()
    return found


async def _crowd(engine: DurableEngine) -> tuple[float, float]:
    """Steps a second and CPU milliseconds a step with many chains at once."""
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(engine.chain(CHAIN) for _ in range(CROWD)))
    steps = CROWD * CHAIN
    return steps / (time.perf_counter() - began), 1000 * (time.process_time() - cpu) / steps


async def _median(times: int, run: Callable[[], Awaitable[None]]) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        await run()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _peak_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
