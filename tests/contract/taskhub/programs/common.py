"""Functions that several programs use. What an activity must remember from one attempt to the next is kept here."""

import time
from collections import defaultdict
from collections.abc import Generator
from threading import Lock
from typing import Any

from durabletask import task

from tests.support.conformance.catalog import activity, orchestrator

type Steps = Generator[task.Task[Any], Any, Any]

_lock = Lock()
_calls: dict[str, int] = defaultdict(int)


def attempt(key: str) -> int:
    """How often this has been called with `key`, this time included. `Run.nonce` is a key of one run alone."""
    with _lock:
        _calls[key] += 1
        return _calls[key]


@activity
def add_one(_: task.ActivityContext, number: int) -> int:
    return number + 1


@activity
def echo(_: task.ActivityContext, value: Any) -> Any:
    return value


@activity
def fail(_: task.ActivityContext, message: str) -> None:
    raise ValueError(message)


@activity
def flaky(_: task.ActivityContext, asked: list[Any]) -> int:
    """Fails until it has been called often enough: [a key, how many times it fails]."""
    times = attempt(asked[0])
    if times <= asked[1]:
        raise ConnectionError("not yet")
    return times


@activity
def slow(_: task.ActivityContext, seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


@orchestrator
def chain(ctx: task.OrchestrationContext, steps: int) -> Steps:
    number = 0
    for _ in range(steps):
        number = yield ctx.call_activity(add_one, input=number)
    return number


@orchestrator
def nothing(_: task.OrchestrationContext, value: Any) -> Any:
    return value


@orchestrator
def failing(ctx: task.OrchestrationContext, message: str) -> Steps:
    yield ctx.call_activity(fail, input=message)


@orchestrator
def waiting(ctx: task.OrchestrationContext, event: str) -> Steps:
    ctx.set_custom_status("waiting")
    received = yield ctx.wait_for_external_event(event)
    return received
