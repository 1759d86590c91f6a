"""How a turn of a stock orchestrator is run: by replay, or on the live generator that earlier turns have left.

Both run the app's function on the event loop, through the SDK's own executor, without the text in which the turn would
reach it in Azure.
"""

import itertools
from collections import Counter, OrderedDict
from typing import Final, Protocol

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf import text_format

from devhost.taskhub.determinism import Divergence, step_of_action, without_stacks
from devhost.taskhub.execution import Execution
from devhost.taskhub.hub import Turn
from devhost.worker.stock import StockOrchestrator

CHECK_EVERY: Final = 50
KEEP: Final = 4000
# Events up to which a replay costs about what the turns between two checks do.
_SHORT: Final = 100
LONGEST: Final = 300


class Turns(Protocol):
    """Runs turns of stock orchestrators."""

    def run(self, orchestrator: StockOrchestrator, turn: Turn) -> pb.OrchestratorResponse:
        """Run `turn` and return what the orchestrator asks for; it never raises for what the app does."""
        ...

    def forget(self, instance_id: str, execution_id: str) -> None:
        """Drop what is kept of an execution."""
        ...


class ReplayedTurns:
    """Each turn runs the function from its beginning through the whole history, as in Azure; nothing is kept."""

    def run(self, orchestrator: StockOrchestrator, turn: Turn) -> pb.OrchestratorResponse:
        """Replay the history and go on with what is new."""
        execution = Execution(orchestrator)
        try:
            return execution.begin(turn)
        finally:
            execution.close()

    def forget(self, instance_id: str, execution_id: str) -> None:
        """Nothing is kept."""


class StickyTurns:
    """The generator is kept between turns and gets only what is new.

    A turn for which no generator is kept, or whose history is not the one that the generator has seen, is a replay, and
    the generator it makes is kept. Every `check_every`-th turn of an orchestrator, counted over all its instances, is
    replayed as well; an orchestration whose replay asks for anything else fails. A check of a long history puts off the
    next in proportion, so that checks cost each turn the same however long histories grow. At most `keep` generators
    are kept, those whose turns came last.
    """

    def __init__(self, *, check_every: int = CHECK_EVERY, keep: int = KEEP) -> None:
        self._check_every = check_every
        self._keep = keep
        self._live: OrderedDict[tuple[str, str], Execution] = OrderedDict()
        # How many turns each orchestrator has taken since its last check, and how many it may before the next.
        self._turns: Counter[StockOrchestrator] = Counter()
        self._interval: dict[StockOrchestrator, int] = {}

    @property
    def kept(self) -> int:
        """How many generators are kept."""
        return len(self._live)

    def run(self, orchestrator: StockOrchestrator, turn: Turn) -> pb.OrchestratorResponse:
        """Go on with the generator that is kept, or make one by a replay."""
        key = (turn.instance_id, turn.execution_id)
        live = self._live.pop(key, None)
        if live is not None and not live.follows(turn):
            live.close()
            live = None
        if live is None:
            live = Execution(orchestrator)
            response = live.begin(turn)
        else:
            response = self._checked(live, live.go_on(turn), orchestrator, turn)
        if live.ended:
            live.close()
        else:
            self._live[key] = live
            self._make_room()
        return response

    def forget(self, instance_id: str, execution_id: str) -> None:
        """Close the generator of an execution, if one is kept."""
        live = self._live.pop((instance_id, execution_id), None)
        if live is not None:
            live.close()

    def _make_room(self) -> None:
        while len(self._live) > self._keep:
            _, oldest = self._live.popitem(last=False)
            oldest.close()

    def _checked(
        self, live: Execution, response: pb.OrchestratorResponse, orchestrator: StockOrchestrator, turn: Turn
    ) -> pb.OrchestratorResponse:
        self._turns[orchestrator] += 1
        due = self._turns[orchestrator] >= self._interval.get(orchestrator, self._check_every)
        if not due or live.divergence is not None:
            return response
        self._turns[orchestrator] = 0
        events = len(turn.past_events) + len(turn.new_events)
        self._interval[orchestrator] = self._check_every * max(_SHORT, events) // _SHORT
        replay = Execution(orchestrator)
        try:
            replayed = replay.begin(turn)
            if replayed == response or without_stacks(replayed) == without_stacks(response):
                return response
            return live.fail(replay.divergence or _difference(turn, response, replayed, replay.stands()))
        finally:
            replay.close()


def _difference(
    turn: Turn, live: pb.OrchestratorResponse, replayed: pb.OrchestratorResponse, stands: tuple[str, ...]
) -> Divergence:
    pairs = itertools.zip_longest(live.actions, replayed.actions)
    one, other = next(((one, other) for one, other in pairs if one != other), (None, None))
    action = one or other
    step = action.id if action is not None else len(live.actions)
    expected = f"its live run asks for {_said(one, other, live)}"
    came = f"a replay of its history asks for {_said(other, one, replayed)}"
    return Divergence(turn.started().name, turn.instance_id, step, expected, came, stands)


def _said(
    action: pb.OrchestratorAction | None, other: pb.OrchestratorAction | None, response: pb.OrchestratorResponse
) -> str:
    """The step, with all that it carries when its name alone does not tell it from the other."""
    if action is None:
        return "nothing" if other is not None else f"the custom status {response.customStatus.value or None}"
    step = step_of_action(action)
    if other is None or step != step_of_action(other):
        return step
    return f"{step} with {text_format.MessageToString(action, as_one_line=True)[:LONGEST]}"
