"""Wait for a condition, with a bound, instead of sleeping a guessed time."""

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine
from typing import Any, overload


@overload
async def eventually[T](
    probe: Callable[[], Coroutine[Any, Any, T]], *, within: float = ..., every: float = ...
) -> T: ...
@overload
async def eventually[T](probe: Callable[[], T], *, within: float = ..., every: float = ...) -> T: ...
async def eventually(probe: Callable[[], Any], *, within: float = 30.0, every: float = 0.02) -> Any:
    """Call `probe` until it returns something truthy and return that; `AssertionError` after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        outcome = probe()
        value = await outcome if inspect.isawaitable(outcome) else outcome
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"still {value!r} after {within} s")
        await asyncio.sleep(every)
