"""Which versions of an orchestration this host may run: the `defaultVersion` settings of `host.json`.

Source: "Orchestration versioning in Durable Functions" of the Azure documentation, and `VersioningSettings.cs` and
`TaskOrchestrationDispatcher.cs` of DurableTask.Core for what it leaves open.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from durabletask.internal import orchestrator_service_pb2 as pb

# What .NET's `System.Version` reads: two to four whole numbers, spaces around each allowed.
_DOTTED: Final = re.compile(r"\s*\+?[0-9]+\s*(?:\.\s*\+?[0-9]+\s*){1,3}", re.ASCII)
_LARGEST_PART: Final = 2**31 - 1


class VersionMatch(StrEnum):
    """`versionMatchStrategy`: how an orchestration's version must relate to the host's."""

    NONE = "None"
    STRICT = "Strict"
    CURRENT_OR_OLDER = "CurrentOrOlder"


class VersionFailure(StrEnum):
    """`versionFailureStrategy`: whether a mismatch leaves the orchestration for a later host, or fails it."""

    REJECT = "Reject"
    FAIL = "Fail"


@dataclass(frozen=True, slots=True)
class Versioning:
    """The version of the orchestrators here, given to each new orchestration that names none.

    Without a `default` no orchestration is turned away.
    """

    default: str | None = None
    match: VersionMatch = VersionMatch.CURRENT_OR_OLDER
    on_mismatch: VersionFailure = VersionFailure.REJECT

    def of_new(self, asked: str | None) -> str | None:
        """The version of a new orchestration, whose starter asked for `asked`."""
        return asked or self.default

    def mismatch(self, version: str | None) -> str | None:
        """Why an orchestration of `version` must not run here; None when it may."""
        if not self.default:
            return None
        if self.match is VersionMatch.STRICT and (version or "") != self.default:
            return f"its version '{version or ''}' is not the version '{self.default}' of this host"
        if self.match is VersionMatch.CURRENT_OR_OLDER and compare_versions(version, self.default) > 0:
            return f"its version '{version}' is newer than the version '{self.default}' of this host"
        return None


def compare_versions(left: str | None, right: str | None) -> int:
    """Below 0, 0 or above 0, as `left` is older than, the same as, or newer than `right`.

    No version is older than any. Two dotted versions of two to four numbers compare number by number, and a missing
    number is older than a 0; all others compare as texts, without regard to case.
    """
    left, right = (left or "").strip() and left, (right or "").strip() and right
    if not left or not right:
        return bool(left) - bool(right)
    numbers, other_numbers = _numbers(left), _numbers(right)
    if numbers is not None and other_numbers is not None:
        return (numbers > other_numbers) - (numbers < other_numbers)
    text, other_text = left.upper(), right.upper()
    return (text > other_text) - (text < other_text)


def _numbers(version: str) -> tuple[int, ...] | None:
    if not _DOTTED.fullmatch(version):
        return None
    parts = tuple(int(part) for part in version.split("."))
    # Tuples of different lengths compare as wanted: (1, 0) is before (1, 0, 0).
    return parts if max(parts) <= _LARGEST_PART else None


def answer_to_mismatch(
    versioning: Versioning, why: str, taken_in: Iterable[pb.HistoryEvent]
) -> pb.OrchestratorResponse | None:
    """What becomes of an orchestration whose turn must not run, given what the turn would have taken in.

    It fails, when mismatches are to fail. One that is to be terminated ends all the same. None leaves it as it is.
    """
    if versioning.on_mismatch is VersionFailure.FAIL:
        failure = pb.TaskFailureDetails(errorType="VersionMismatch", errorMessage=why, isNonRetriable=True)
        ended = pb.CompleteOrchestrationAction(
            orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED, failureDetails=failure
        )
        return pb.OrchestratorResponse(actions=[pb.OrchestratorAction(id=-1, completeOrchestration=ended)])
    for event in taken_in:
        if event.HasField("executionTerminated"):
            terminated = event.executionTerminated
            ended = pb.CompleteOrchestrationAction(
                orchestrationStatus=pb.ORCHESTRATION_STATUS_TERMINATED,
                result=terminated.input if terminated.HasField("input") else None,
            )
            return pb.OrchestratorResponse(actions=[pb.OrchestratorAction(id=-1, completeOrchestration=ended)])
    return None
