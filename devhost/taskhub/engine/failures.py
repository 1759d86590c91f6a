"""Failures that travel from sub-orchestration to parent: each parent wraps the one it got, and there is a deepest."""

from typing import Final

from durabletask.internal import orchestrator_service_pb2 as pb

# Protobuf's decoders refuse messages nested deeper than 100. The SDK adds some levels of its own to each failure.
DEEPEST: Final = 12


def shortened(failure: pb.TaskFailureDetails) -> pb.TaskFailureDetails:
    """`failure` with at most `DEEPEST` levels: where there are more, the outermost ones and the first cause."""
    levels = [failure]
    while levels[-1].HasField("innerFailure"):
        levels.append(levels[-1].innerFailure)
    if len(levels) <= DEEPEST:
        return failure
    made = levels[-1]
    for level in reversed(levels[: DEEPEST - 1]):
        made = _around(level, made)
    return made


def _around(level: pb.TaskFailureDetails, inner: pb.TaskFailureDetails) -> pb.TaskFailureDetails:
    return pb.TaskFailureDetails(
        errorType=level.errorType,
        errorMessage=level.errorMessage,
        stackTrace=level.stackTrace if level.HasField("stackTrace") else None,
        innerFailure=inner,
        isNonRetriable=level.isNonRetriable,
        properties=level.properties,
    )
