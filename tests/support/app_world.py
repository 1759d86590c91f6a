"""The app's resources as twins in one process: what the tests of agents and orchestrations work in."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from agents.catalog import Catalog
from agents.context import AgentContext
from agents.runner import AgentRunner
from agents.spec import AgentSpec
from devhost.clock import ManualClock
from shared import names
from shared.artifacts.files import FileArtifacts
from shared.breaker import CircuitBreaker
from shared.contracts import AgentInput, Usage
from shared.errors import MusterError
from shared.llm.model import ModelReply, ModelRequest
from shared.llm.scripted import ScriptedModel
from shared.memory.sqlite import SqliteMemory
from shared.memory.store import MemoryStore
from shared.messaging.bus import OutgoingMessage
from shared.messaging.memory import MemoryBus
from shared.resources import Resources
from shared.settings import Settings
from shared.state.documents import RunRecord, StepDocument
from shared.state.sqlite import SqliteState
from shared.state.sqlite_circuits import SqliteCircuits
from shared.state.store import StateStore
from tests.support.documents import NOW

USAGE = Usage(input_tokens=100, output_tokens=20, cost_usd=0.5, model="test-model")


class World:
    """Resources over one folder, with a clock that the test moves and a model that says what the test told it to.

    The model gives `replies` in turn, then the last one for ever; each text uses `USAGE`, an error is raised.
    """

    def __init__(self, folder: Path) -> None:
        self.replies: list[str | MusterError] = ["An answer."]
        self.clock = ManualClock(NOW)
        self.model = ScriptedModel(self._say)
        self.bus = MemoryBus(
            ("workflow-starts", *(f"{name}-tasks" for name in ("research", "writer", "editor", "publisher", "tester"))),
            {names.EVENTS_TOPIC: {"everyone": lambda _: True}},
        )
        self.store = SqliteState(folder / "state.db")
        self.memory = SqliteMemory(folder / "memory.db")
        self.resources = Resources(
            settings=Settings(),
            store=self.store,
            bus=self.bus,
            artifacts=FileArtifacts(folder / "artifacts"),
            model=self.model,
            memory=self.memory,
            clock=self.clock,
            circuits=CircuitBreaker(SqliteCircuits(folder / "circuits.db"), self.clock),
        )

    def _say(self, request: ModelRequest) -> ModelReply | MusterError:
        said = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return ModelReply(said, USAGE) if isinstance(said, str) else said

    def but(self, **changes: Any) -> Resources:
        """The resources with some of them exchanged."""
        return replace(self.resources, **changes)

    def with_settings(self, **changes: Any) -> Resources:
        """The resources under other settings, by the names of their fields."""
        return self.but(settings=self.resources.settings.model_copy(update=changes))

    async def record(self, task_id: str = "run-1") -> RunRecord:
        """The run and its steps."""
        record = await self.store.read_run(task_id)
        assert record is not None
        return record

    async def step(self, task_id: str = "run-1") -> StepDocument:
        """The run's first step."""
        return (await self.record(task_id)).steps[0]


@asynccontextmanager
async def make_world(folder: Path) -> AsyncIterator[World]:
    """A `World` over `folder`, let go of at the end."""
    world = World(folder)
    yield world
    await world.store.close()
    await world.memory.close()


def an_agent(
    handler: Callable[[AgentContext, AgentInput], Any] | None = None, *, name: str = "tester", **limits: Any
) -> AgentSpec:
    """An agent that asks the model once with the request as text, unless `handler` says otherwise."""

    async def ask(context: AgentContext, given: AgentInput) -> Any:
        return await context.ask("system", str(given.request))

    return AgentSpec(name=name, description="For tests.", handler=handler or ask, **limits)


def a_runner(spec: AgentSpec, resources: Resources) -> AgentRunner:
    """A runner whose catalog is this one agent; it tries three times to record a result, without a wait."""
    return AgentRunner(Catalog([spec]), resources, record_waits=(timedelta(0), timedelta(0)), chance=lambda: 0.0)


class FlakyStore:
    """A store some of whose methods fail: `failures` maps a method's name to the errors its next calls raise.

    `failed` counts the calls that did.
    """

    def __init__(self, inner: StateStore | MemoryStore, failures: Mapping[str, Sequence[MusterError]]) -> None:
        self._inner = inner
        self._failures = {name: list(errors) for name, errors in failures.items()}
        self.failed = 0

    def fail(self, name: str, errors: Sequence[MusterError]) -> None:
        """Let the next calls of a method fail."""
        self._failures[name] = list(errors)

    def __getattr__(self, name: str) -> Any:
        if self._failures.get(name):

            async def fail(*_: Any, **__: Any) -> None:
                self.failed += 1
                raise self._failures[name].pop(0)

            return fail
        return getattr(self._inner, name)


class BrokenBus:
    """A bus that takes nothing, and says so with `error`."""

    def __init__(self, error: MusterError) -> None:
        self._error = error

    async def send(self, queue: str, messages: Sequence[OutgoingMessage]) -> None:
        """Raise."""
        raise self._error

    async def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> None:
        """Raise."""
        raise self._error

    async def close(self) -> None:
        """Nothing is held open."""
