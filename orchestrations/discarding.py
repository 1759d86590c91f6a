"""Throwing dead letters away: for each it is said, and logged, what a replay would have come to.

Nothing is told to anyone: whoever waits for a step was told when its message died, or is told at its deadline.
"""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from enum import StrEnum

from orchestrations.dead_letters import Place, read_letter
from orchestrations.replaying import decide
from shared.contracts import Contract
from shared.messaging.bus import DeadLetter
from shared.resources import Resources

log = logging.getLogger("muster.dead_letters")


class Fate(StrEnum):
    """What becomes, or would become, of one dead letter."""

    DISCARDED = "discarded"  #: it is removed
    GONE = "gone"  #: there is no such dead letter (any more)


class Discarded(Contract):
    """What became of one dead letter. `run` is the one that it belonged to."""

    id: str
    action: Fate
    detail: str
    run: str | None = None


async def would_discard(
    letters: Sequence[tuple[str, int]], places: Mapping[str, Place], resources: Resources
) -> tuple[Discarded, ...]:
    """What throwing these away, given by entity and number, would come to. Raises `BusUnavailable`."""
    done: dict[tuple[str, int], Discarded] = {}
    for entity, number in letters:
        lying = await resources.bus.peek_dead(entity, after=number - 1, limit=1)
        for letter in lying:
            if letter.sequence_number == number:
                done[entity, number] = await _said(places[entity], letter, resources)
    return _in_order(letters, done)


async def discard_all(
    letters: Sequence[tuple[str, int]], places: Mapping[str, Place], resources: Resources, *, by: str
) -> tuple[Discarded, ...]:
    """Throw these away, given by entity and number; what became of each, in their order. Raises `BusUnavailable`."""
    done: dict[tuple[str, int], Discarded] = {}
    by_entity: defaultdict[str, list[int]] = defaultdict(list)
    for entity, number in letters:
        by_entity[entity].append(number)

    async def handle(letter: DeadLetter) -> bool:
        said = await _said(places[letter.entity], letter, resources)
        done[letter.entity, letter.sequence_number] = said
        digest = hashlib.sha256(letter.body).hexdigest()
        log.warning("%s throws %s away (run %s, sha256 %s): %s", by, letter.id, said.run, digest, said.detail)
        return True

    for entity, numbers in by_entity.items():
        await resources.bus.take_dead(entity, numbers, handle)
    return _in_order(letters, done)


async def _said(place: Place, letter: DeadLetter, resources: Resources) -> Discarded:
    read = read_letter(place, letter.message_id, letter.body)
    run = read.task.task_id if read.task else read.run
    record = await resources.store.read_run(run) if run else None
    lost = decide(read, record, restart=False, now=resources.clock.now())
    detail = f"replayed, it would have been {lost.action}: {lost.detail}"
    return Discarded(id=letter.id, action=Fate.DISCARDED, detail=detail, run=run)


def _in_order(letters: Sequence[tuple[str, int]], done: Mapping[tuple[str, int], Discarded]) -> tuple[Discarded, ...]:
    gone = "there is no such dead letter (any more)"
    return tuple(
        done.get((entity, number)) or Discarded(id=f"{entity}:{number}", action=Fate.GONE, detail=gone)
        for entity, number in letters
    )
