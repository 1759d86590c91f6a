"""Taking up what the file holds: the work that was under way when the last process ended goes on."""

import itertools
from dataclasses import dataclass

from devhost.taskhub.engine.actions import Actions
from devhost.taskhub.engine.activities import Activities
from devhost.taskhub.engine.context import Context
from devhost.taskhub.engine.instance import Instance, Pending
from devhost.taskhub.engine.lifecycle import Lifecycle
from devhost.taskhub.engine.outstanding import Outstanding, outstanding


@dataclass(slots=True)
class Recovered:
    """What was found: orchestrations that have not ended, and what is to be done, by kind."""

    instances: int = 0
    activities: int = 0
    timers: int = 0
    events: int = 0
    operations: int = 0
    signals: int = 0

    def __str__(self) -> str:
        if self == Recovered():
            return "nothing was under way"
        found = (
            f"{_count(self.instances, 'orchestration')} under way: {_count(self.activities, 'activity')} to run again",
            f"{_count(self.timers, 'timer')} set",
            f"{_count(self.events, 'event')} to take in",
            f"{_count(self.operations, 'entity operation')} to run",
            f"{_count(self.signals, 'signal')} for later",
        )
        return ", ".join(found)


def recover(context: Context, lifecycle: Lifecycle, actions: Actions, activities: Activities) -> Recovered:
    """Take up all orchestrations that have not ended. What they wait for is read off their histories."""
    recovered = Recovered()
    inboxes = context.journal.inboxes()
    for instance in context.journal.unfinished():
        context.journal.load(instance)
        pending = inboxes.get(instance.key, [])
        found = outstanding(itertools.chain(instance.history, (each.event for each in pending)))
        _take_up(context, lifecycle, actions, instance, pending, found)
        recovered.instances += 1
        recovered.activities += len(found.activities)
        recovered.timers += len(found.timers)
        recovered.events += len(pending)
    recovered.activities += activities.recover_strays()
    return recovered


def _take_up(
    context: Context,
    lifecycle: Lifecycle,
    actions: Actions,
    instance: Instance,
    pending: list[Pending],
    found: Outstanding,
) -> None:
    instance.inbox = pending
    actions.resume_outstanding(instance, found)
    begins = instance.scheduled_at
    if not instance.history and begins is not None and begins > context.timers.now():
        lifecycle.hold(instance, begins)
    context.instances.add(instance)
    context.instances.on_event(instance)


def _count(number: int, of: str) -> str:
    if number == 1:
        return f"1 {of}"
    return f"{number} {of.removesuffix('y')}ies" if of.endswith("y") else f"{number} {of}s"
