"""Whose fault a failure is: a table from the error's type.

Queries group failures by it, and an alert goes to whoever can mend them. A type that is not in the table comes out of
an agent's own code.
"""

import re
from collections.abc import Mapping
from enum import StrEnum


class FaultDomain(StrEnum):
    """Who or what has to be looked at after a failure."""

    MODEL = "model"  #: the model, or who serves it
    AGENT = "agent"  #: the agent's own code or its answers, or what a team of agents came to
    STORE = "store"  #: the state or artifact store
    BROKER = "broker"  #: Service Bus
    TASK_HUB = "task_hub"  #: the store of orchestrations
    IDENTITY = "identity"  #: Entra ID
    CONFIGURATION = "configuration"  #: the app's settings
    INPUT = "input"  #: who asked, or sent the message
    BUDGET = "budget"  #: what the run may cost
    CAPACITY = "capacity"  #: work waited longer than it had time for
    CIRCUIT = "circuit"  #: nothing was asked, because of failures before
    PROCESS = "process"  #: the app's process stopped
    CALLER = "caller"  #: nobody wanted the result any more, or a person did not decide


FAULT_DOMAINS: Mapping[FaultDomain, frozenset[str]] = {
    FaultDomain.MODEL: frozenset(
        {"ModelUnavailable", "ModelRateLimited", "NoUsableAnswer", "ModelRefused", "ModelAnswerInvalid"}
    ),
    FaultDomain.AGENT: frozenset(
        {
            *("AgentTimedOut", "AgentOutputInvalid", "AgentFailed", "ArtifactTooLarge", "ActivityFailed"),
            *("InvalidAnswer", "InvalidBallot", "InvalidReview", "InvalidTurn", "PlanRefused", "NotAccepted"),
            *("NotReviewed", "NoQuorum", "TooFewAnswers", "TooFewParts", "TooFewReactions"),
            *("PassedBefore", "PassedToItself", "PassLimit"),
            *("TargetNotAllowed", "UnknownTarget"),
        }
    ),
    FaultDomain.STORE: frozenset(
        {"StoreUnavailable", "DocumentTooLarge", "StateCorrupted", "ArtifactCorrupted", "IllegalTransition"}
    ),
    FaultDomain.BROKER: frozenset({"BusUnavailable", "MessageTooLarge", "DispatchFailed", "PublishFailed"}),
    FaultDomain.TASK_HUB: frozenset(
        {"TaskHubUnavailable", "NestedFailed", "OrchestrationEnded", "OrchestrationLost", "NotRecorded"}
    ),
    FaultDomain.IDENTITY: frozenset({"IdentityUnavailable"}),
    FaultDomain.CONFIGURATION: frozenset({"ConfigurationError"}),
    FaultDomain.INPUT: frozenset(
        {"InvalidRequest", "InvalidMessage", "NotFound", "Conflict", "RunOver", "NobodySubscribes"}
    ),
    FaultDomain.BUDGET: frozenset({"BudgetExhausted", "budget_exhausted"}),
    FaultDomain.CAPACITY: frozenset({"DeadlinePassed", "StepTimedOut", "timed_out"}),
    FaultDomain.CIRCUIT: frozenset({"CircuitIsOpen"}),
    FaultDomain.PROCESS: frozenset({"RunnerLost", "Interrupted", "ClaimLost", "Held"}),
    FaultDomain.CALLER: frozenset({"Cancelled", "Unwanted", "NotNeeded", "NobodyDecided", "cancelled", "skipped"}),
}
"""The types of errors, of exceptions and of `ErrorInfo` alike, in each domain."""

OTHER = "_OTHER"
"""What OpenTelemetry calls an error whose type is not to be told."""
_TYPE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,99}")

_BY_TYPE = {kind: domain for domain, kinds in FAULT_DOMAINS.items() for kind in kinds}


def fault_domain(error_type: str) -> FaultDomain:
    """Whose fault an error of this type is."""
    return _BY_TYPE.get(error_type, FaultDomain.AGENT)


def told_type(error_type: str) -> str:
    """The type as it may leave. One may have come from outside, with any text for a type."""
    return error_type if _TYPE_NAME.fullmatch(error_type) else OTHER
