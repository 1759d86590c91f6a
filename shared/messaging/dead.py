"""Counting dead letters where they are made: by a function that gives a message back at its last delivery."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared import names
from shared.errors import AgentFailed
from shared.telemetry import names as tracing
from shared.telemetry.attributes import AGENT, ERROR_TYPE, FAULT_DOMAIN, MESSAGING_DESTINATION
from shared.telemetry.faults import fault_domain, told_type
from shared.telemetry.telemetry import Measure, Telemetry


@contextmanager
def counted_if_dead(
    telemetry: Telemetry, entity: str, deliveries: int | None, *, agent: str | None = None
) -> Iterator[None]:
    """Count one dead letter of `entity` when an exception leaves, if this delivery is the message's last.

    What dies without a function, because its time to live is over or its process stops each time, is not counted here.
    """
    try:
        yield
    except Exception as error:
        if (deliveries or 0) >= names.MAX_DELIVERIES:
            cause = (error.cause if isinstance(error, AgentFailed) else None) or type(error).__name__
            about = {
                MESSAGING_DESTINATION: entity,
                AGENT: agent,
                ERROR_TYPE: told_type(cause),
                FAULT_DOMAIN: fault_domain(cause).value,
            }
            telemetry.record([Measure(tracing.DEAD_LETTERS, 1, about)])
        raise
