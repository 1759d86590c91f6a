"""What was seen while a plan was carried out: facts about the world around the app, in the order in which they came.

Nothing here is what the app says of itself, but for the documents and the messages that it leaves behind.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from shared.state.documents import RunRecord
from shared.status import RunStatus, StepStatus


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that happened: its place in the order of everything, and when, in seconds since the beginning."""

    seq: int
    at: float


@dataclass(frozen=True, slots=True)
class Granted(Seen):
    """The state store gave a step to an owner."""

    step: str
    owner: str


@dataclass(frozen=True, slots=True)
class Renewed(Seen):
    """The state store let an owner keep a step."""

    step: str
    owner: str


@dataclass(frozen=True, slots=True)
class Released(Seen):
    """An owner gave a step back after an attempt that failed."""

    step: str
    owner: str


@dataclass(frozen=True, slots=True)
class Recorded(Seen):
    """The state store has a step's result from its owner."""

    step: str
    owner: str
    status: StepStatus
    error: str | None


@dataclass(frozen=True, slots=True)
class Began(Seen):
    """An agent's own code was called."""

    owner: str


@dataclass(frozen=True, slots=True)
class Asked(Seen):
    """A model call was begun; `call` numbers them."""

    owner: str
    call: int


@dataclass(frozen=True, slots=True)
class Answered(Seen):
    """A model call was answered, and is paid for. `tokens` are (in, out)."""

    owner: str
    call: int
    tokens: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Unanswered(Seen):
    """A model call failed in a way that another may not."""

    owner: str
    call: int


@dataclass(frozen=True, slots=True)
class Affected(Seen):
    """An agent did something outside that may not be done twice."""

    owner: str


@dataclass(frozen=True, slots=True)
class Stopped(Seen):
    """A process ended: without a word, or `drained`, which is told before."""

    process: str
    drained: bool


@dataclass(frozen=True, slots=True)
class Told(Seen):
    """The orchestration that waits for a step was told its result."""

    step: str
    status: StepStatus
    error: str | None


@dataclass(frozen=True, slots=True)
class Sent(Seen):
    """The broker was handed a message for these steps; one whose id it has seen is dropped, and not `taken`."""

    queue: str
    message: str
    steps: tuple[str, ...]
    taken: bool


@dataclass(frozen=True, slots=True)
class Delivered(Seen):
    """A message was handed to a process."""

    queue: str
    message: str
    owner: str


@dataclass(frozen=True, slots=True)
class Completed(Seen):
    """The broker removed a message for good."""

    queue: str
    message: str


@dataclass(frozen=True, slots=True)
class Advanced(Seen):
    """The run's document moved on."""

    status: RunStatus


@dataclass(frozen=True, slots=True)
class CalledOff(Seen):
    """The run goes on without these steps."""

    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """How everything stood when nothing was going to happen any more.

    `orchestration` is its status, or None when there is none; `output` what it returned. `lying` are the queues and ids
    of the messages that wait or are scheduled, `dead` of those in dead-letter queues. `calls_repeated` is what the
    app's own API says.
    """

    record: RunRecord | None
    orchestration: str | None
    output: Any
    lying: frozenset[tuple[str, str]]
    dead: frozenset[tuple[str, str]]
    calls_repeated: int = 0


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that was seen, and how it ended."""

    seen: tuple[Seen, ...]
    ending: Ending

    def all[S: Seen](self, kind: type[S]) -> Iterator[S]:
        """What was seen of one kind."""
        return (each for each in self.seen if isinstance(each, kind))


@dataclass
class Notebook:
    """Writes down what is seen. `now` tells the time."""

    now: Any
    seen: list[Seen] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def note(self, kind: type[Seen], *facts: Any) -> None:
        """Something happened now."""
        self.seen.append(kind(next(self._numbers), self.now(), *facts))
