"""Holding a claim while an agent runs: the claim is renewed now and then, and work that nobody wants is stopped.

A crash therefore holds a step for a minute at most, however long its agent may take; and a message that comes again
because its lock was lost finds the claim, and does not run beside the first.
"""

import asyncio
import logging
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from shared.clock import Clock
from shared.errors import ClaimLost, RetryableError
from shared.state.documents import StepDocument
from shared.state.store import StateStore

log = logging.getLogger("muster.agents")

LEASE = timedelta(seconds=60)
"""How long a claim lasts after its runner was last heard of."""
HEARTBEAT = timedelta(seconds=20)
"""How long after the claim, and after each renewal, it is renewed. A step that takes less costs no more writes."""


class NotWantedAnyMore(Exception):
    """The step's run has ended, is being cancelled, or goes on without it, while its agent was at work."""


async def while_holding[T](
    work: Coroutine[Any, Any, T], step: StepDocument, *, owner: str, store: StateStore, clock: Clock
) -> T:
    """What `work` returns, while `owner`'s claim of the step is renewed every `HEARTBEAT`.

    A store that does not answer stops nothing: the result may be recorded as long as nobody took the step over.
    Raises what `work` raises; `ClaimLost` and `NotWantedAnyMore`, after the work was cancelled, and only as soon as
    it has ended.
    """
    working = asyncio.ensure_future(work)
    beating = asyncio.ensure_future(_beat(step, owner, store, clock))
    try:
        await asyncio.wait({working, beating}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            beating.result()
        return working.result()
    finally:
        working.cancel()
        beating.cancel()
        await asyncio.gather(working, beating, return_exceptions=True)


async def _beat(step: StepDocument, owner: str, store: StateStore, clock: Clock) -> None:
    """Renew until cancelled. Raises `ClaimLost` and `NotWantedAnyMore`."""
    while True:
        await clock.sleep_until(clock.now() + HEARTBEAT)
        now = clock.now()
        try:
            unwanted = await store.renew_step(step.task_id, step.step_id, owner=owner, lease_until=now + LEASE, now=now)
        except ClaimLost:
            log.warning("step %s of run %s was taken over: its agent is stopped", step.step_id, step.task_id)
            raise
        except RetryableError as error:
            log.warning("the claim of step %s of run %s is not renewed: %s", step.step_id, step.task_id, error)
            continue
        if unwanted is not None:
            raise NotWantedAnyMore(unwanted.reason)
