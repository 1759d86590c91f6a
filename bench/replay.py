# ruff: noqa: SLF001 - what is measured is the SDK's executor itself
"""What the stock SDK's own executor needs to replay an orchestration, turn by turn: no replaying host needs less."""

import logging
import time
from datetime import UTC, datetime
from typing import Any, Final

from durabletask import task
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.worker import TaskHubGrpcWorker, _OrchestrationExecutor

from bench.workloads import ANSWER

_ID: Final = "a" * 32


def _chain(ctx: task.OrchestrationContext, steps: int) -> Any:
    for number in range(steps):
        yield ctx.call_activity("step", input=number)


def own_replay_seconds(steps: int) -> float:
    """The time in the SDK's executor over all turns of a chain; the histories are made beside it and do not count."""
    worker = TaskHubGrpcWorker(emit_trace_spans=False, logger=_silent())
    worker._registry.add_named_orchestrator("chain", _chain)
    past: list[pb.HistoryEvent] = []
    new = [_turn(), helpers.new_execution_started_event("chain", _ID, str(steps))]
    taken = 0.0
    while True:
        executor = _OrchestrationExecutor(worker._registry, worker._logger, data_converter=worker._data_converter)
        began = time.perf_counter()
        result = executor.execute(_ID, past, new)
        taken += time.perf_counter() - began
        (action,) = result.actions
        if action.HasField("completeOrchestration"):
            return taken
        past += [*new, helpers.new_task_scheduled_event(action.id, "step", action.scheduleTask.input.value)]
        past.append(helpers.new_orchestrator_completed_event())
        new = [_turn(), helpers.new_task_completed_event(action.id, f'"{ANSWER}"')]


def _silent() -> logging.Logger:
    """The SDK tells of every turn."""
    logger = logging.getLogger(__name__)
    logger.setLevel(logging.WARNING)
    return logger


def _turn() -> pb.HistoryEvent:
    return helpers.new_orchestrator_started_event(datetime.now(UTC))
