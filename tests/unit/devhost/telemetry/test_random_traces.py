"""Whatever orchestrations do, and wherever the process dies under them, their spans are one tree without doubles.

Random programs run on a real task hub; `tests/support/random_orchestrations.py` draws them.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import azure.durable_functions as df
import pytest
from durabletask import task
from durabletask.entities import DurableEntity

from devhost.clock import ManualClock
from tests.support.durable_hub import DieAt, DurableHub, durable_hub
from tests.support.kept_spans import kept_spans
from tests.support.otlp_receiver import OtlpReceiver, Span
from tests.support.random_orchestrations import EVENTS, draw_program, make_app
from tests.support.span_tree import broken, drawn

# The SDK advises once in a process; an app's own tests would see the same.
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")

type Steps = Generator[task.Task[Any], Any, Any]

STEPS = 200


class Sums(DurableEntity):
    def add(self, amount: int) -> int:
        self.set_state(self.get_state(int, 0) + amount)
        return amount


def a_whole_app(random: Random) -> df.DFApp:
    """The random program, and all that it may call: every fourth call fails."""
    app = make_app()
    app.entity_trigger(context_name="ctx", entity_name="counter")(Sums)
    for number in range(3):
        _add(app, number, random)
    return app


def _add(app: df.DFApp, number: int, random: Random) -> None:
    async def activity(given: Any) -> Any:
        if random.random() < 0.25:
            raise ValueError("no luck")
        return given

    def child(ctx: task.OrchestrationContext, given: Any) -> Steps:
        return (yield ctx.call_activity(f"activity{number}", input=given))

    activity.__name__, child.__name__ = f"activity{number}", f"child{number}"
    app.activity_trigger(input_name="given")(activity)
    app.orchestration_trigger(context_name="ctx")(child)


async def lived(hub: DurableHub, random: Random, crash: DieAt) -> None:
    """Let time and events come until nothing of the run is left, or the process dies."""
    assert isinstance(hub.clock, ManualClock)
    for _ in range(STEPS):
        await at_rest(hub, crash)
        if crash.dead.is_set() or not list(hub.hub.engine.context.journal.unfinished()):
            return
        if (due := hub.hub.engine.next_due) is not None and random.random() < 0.7:
            hub.clock.move_to(due)
            continue
        instance = hub.hub.engine.context.instances.find("one")
        if instance is not None and not instance.finished:
            hub.hub.engine.raise_event(instance, random.choice(EVENTS), "1")
        hub.clock.advance(timedelta(hours=1))
    raise AssertionError(f"it has not ended after {STEPS} steps")


async def at_rest(hub: DurableHub, crash: DieAt) -> None:
    async with asyncio.timeout(10):
        while not crash.dead.is_set() and not hub.hub.engine.idle:
            await asyncio.sleep(0)


async def spans_of(path: Path, seed: int, crashes: list[DieAt], *, sticky: bool) -> OtlpReceiver:
    """All spans of one random run, over a life of the process for each of `crashes`, and one to its end."""
    random, clock = Random(seed), ManualClock()
    program = draw_program(random)
    spans, receiver = kept_spans(clock)
    for crash in [*crashes, DieAt()]:
        async with durable_hub(a_whole_app(random), path, clock=clock, spans=spans, crash=crash, sticky=sticky) as hub:
            await asyncio.sleep(0)
            if hub.hub.engine.context.journal.find("one") is None:
                asked = hub.client.schedule_new_orchestration("program", input=json.dumps(program), instance_id="one")
                await asyncio.gather(asked, return_exceptions=True)
            await lived(hub, random, crash)
    return receiver


def paired(trace: list[Span]) -> None:
    """What ran was waited for exactly once."""
    waits = Counter(span.span_id for span in trace if span.kind == "client")
    assert set(waits.values()) <= {1}
    for span in trace:
        if span.name.startswith("activity:") and span.kind == "server":
            assert waits[span.parent_id] == 1, drawn(trace)


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize("seed", range(12))
async def test_a_random_run_is_one_tree_in_which_nothing_is_doubled(tmp_path: Path, seed: int, sticky: bool) -> None:
    receiver = await spans_of(tmp_path, seed, [], sticky=sticky)
    assert broken(receiver.spans) == [], drawn(receiver.spans)
    paired(receiver.spans)


@pytest.mark.parametrize("seed", range(12))
async def test_a_process_that_dies_doubles_no_span_and_each_execution_still_ends_once(
    tmp_path: Path, seed: int
) -> None:
    names = ("turn-begins", "turn-ended", "turn-applied", "activity-begins", "activity-ended", "commit-written")
    crashes = [DieAt(names[(seed + each) % len(names)], nth=2 + each) for each in range(3)]
    receiver = await spans_of(tmp_path, seed, crashes, sticky=bool(seed % 2))
    doubled = [found for found, times in Counter(span.span_id for span in receiver.spans).items() if times > 1]
    assert doubled == [], drawn(receiver.spans)
    assert broken(receiver.spans) == [], drawn(receiver.spans)
