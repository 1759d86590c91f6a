"""All entities of one task hub: what orchestrations, clients and entities send them, and what comes back.

Everything changes in memory at once and is written with the next commit, in one transaction: an operation leaves the
file together with the coming of its effects, so that it is applied exactly once, however often a crash has it run.

An execution that ends lets go of all its locks, also when it ended without saying so; in Azure such locks stay until
somebody cleans the entity storage.
"""

import logging
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.broker.instants import to_datetime, to_instant
from devhost.taskhub.engine import events
from devhost.taskhub.engine.context import Context
from devhost.taskhub.engine.instance import Instance
from devhost.taskhub.engine.lifecycle import AlreadyExists, Beginning, Lifecycle
from devhost.taskhub.entities.awaited import awaits
from devhost.taskhub.entities.batches import EntityBatches
from devhost.taskhub.entities.entity import Entity
from devhost.taskhub.entities.journal import EntityJournal
from devhost.taskhub.entities.mailbox import Batch, EntityMessage
from devhost.taskhub.entities.outcome import Reply, Signal, entity_id, outcome, passed_on, signal
from devhost.taskhub.entities.roster import Roster
from devhost.taskhub.entities.sections import CriticalSections

_log = logging.getLogger(__name__)


class Entities:
    """An `EntityPort` over tables of its own. The calls change memory at once."""

    def __init__(self, context: Context, lifecycle: Lifecycle, limit: int) -> None:
        """`limit` is how many batches run at once."""
        self.journal = EntityJournal(context.commits.connection, context.commits.changed)
        context.commits.add(self.journal)
        self.roster = Roster(self.journal, context.timers.now)
        self.sections = CriticalSections()
        self.batches = EntityBatches(context, self.journal, self._apply, limit)
        self._context = context
        self._lifecycle = lifecycle

    # -- from orchestrations ---------------------------------------------------------------------------------------

    def send(self, source: Instance, message: pb.SendEntityMessageAction) -> None:
        """Take in what a turn of `source` sends to an entity; see `EntityPort`."""
        kind = message.WhichOneof("EntityMessageType")
        try:
            if kind == "entityUnlockSent":
                self.release(
                    entity_id(message.entityUnlockSent.targetInstanceId.value),
                    source.id,
                    message.entityUnlockSent.criticalSectionId,
                )
            elif kind is not None:
                self._put(self._message(source, message))
        except (ValueError, IndexError) as invalid:
            _log.error("the orchestration '%s' sent something to what is no entity: %s", source.id, invalid)

    def execution_ended(self, instance: Instance) -> None:
        """Let go of every lock that the execution has or has asked for."""
        for section, identity in self.sections.of(instance.id):
            self.release(identity, instance.id, section)

    def release(self, identity: str, owner: str, section: str) -> bool:
        """Let go of one lock, held or asked for; what waited behind it goes on. Returns whether it was held."""
        self.sections.leave(owner, section, identity)
        if self.roster.find(identity) is None:
            return False
        entity = self.roster.take(identity)
        released = entity.mailbox.release(section)
        self.journal.done(released.withdrew)
        self.journal.touch(entity)
        self.batches.wake(entity)
        return released.unlocked

    def _message(self, source: Instance, message: pb.SendEntityMessageAction) -> Signal:
        now = self._context.clock.now()
        event = pb.HistoryEvent(eventId=-1, timestamp=events.timestamp(self._context.timers.now()))
        if message.HasField("entityLockRequested"):
            asked = message.entityLockRequested
            lock_set = [entity_id(each) for each in asked.lockSet]
            self.sections.enter(source.id, asked.criticalSectionId, lock_set)
            event.entityLockRequested.CopyFrom(asked)
            event.entityLockRequested.lockSet[:] = lock_set
            event.entityLockRequested.parentInstanceId.value = source.id
            return Signal(lock_set[asked.position], event)
        if message.HasField("entityOperationCalled"):
            event.entityOperationCalled.CopyFrom(message.entityOperationCalled)
            event.entityOperationCalled.parentInstanceId.value = source.id
            return Signal(entity_id(message.entityOperationCalled.targetInstanceId.value), event)
        target = entity_id(message.entityOperationSignaled.targetInstanceId.value)
        return replace(signal(message.entityOperationSignaled, now=now), entity_id=target)

    # -- from clients, and from entities ---------------------------------------------------------------------------

    def signal(self, sent: Signal) -> None:
        """Have an entity take in a signal when it is due."""
        self._context.crash_points.reached("call-received")
        self._put(sent)

    def _put(self, sent: Signal) -> None:
        if sent.due is None:
            self._arrive(sent.entity_id, sent.event)
        else:
            due = to_instant(sent.due)
            self._set_alarm(sent.entity_id, self.journal.add(sent.entity_id, sent.event, due), due)

    def _arrive(self, identity: str, event: pb.HistoryEvent) -> None:
        entity = self.roster.take(identity)
        entity.mailbox.put(self.journal.add(identity, event))
        self.batches.wake(entity)

    def _set_alarm(self, identity: str, message: EntityMessage, due: int) -> None:
        self._context.alarms.at(to_datetime(due), partial(self._due, identity, message))

    def _due(self, identity: str, message: EntityMessage) -> None:
        self._context.crash_points.reached("entity-signal-due")
        if self._context.commits.failed is not None:
            return
        self.journal.done([message.number])
        self._arrive(identity, message.event)

    # -- what comes of a batch -------------------------------------------------------------------------------------

    def _apply(self, entity: Entity, batch: Batch, result: pb.EntityBatchResult) -> None:
        done = 0
        if batch.operations:
            operations = [each.event for each in batch.operations]
            now, new_id = self._context.clock.now(), self._context.ids.new
            came = outcome(operations, entity.state, result, now=now, new_id=new_id)
            entity.state, entity.modified_at, done = came.state, self._context.timers.now(), came.done
            self._send_out(came.replies, came.signals, came.starts)
        granted = entity.mailbox.settle(done)
        self.journal.done(each.number for each in batch.operations[:done])
        self.journal.touch(entity)
        if granted is not None:
            self.journal.done([granted.number])
            onward = passed_on(granted.event.entityLockRequested, now=self._context.clock.now())
            self._put(onward) if isinstance(onward, Signal) else self._reply(onward)
        self._context.crash_points.reached("entity-batch-applied")

    def _send_out(
        self,
        replies: Iterable[Reply],
        signals: Iterable[Signal],
        starts: Iterable[pb.StartNewOrchestrationAction],
    ) -> None:
        for reply in replies:
            self._reply(reply)
        for sent in signals:
            self._put(sent)
        for start in starts:
            try:
                self._lifecycle.begin(_beginning(start))
            except AlreadyExists as refused:
                _log.warning("an entity could not start the orchestration '%s': %s", start.name, refused)

    def _reply(self, reply: Reply) -> None:
        instance = self._context.instances.find(reply.instance_id)
        if instance is not None and awaits(instance.history, reply.event):
            self._context.instances.deliver(instance, reply.event)
        elif reply.event.HasField("entityLockGranted"):
            section = reply.event.entityLockGranted.criticalSectionId
            for of_section, identity in self.sections.of(reply.instance_id):
                if of_section == section:
                    self.release(identity, reply.instance_id, section)

    # -- cleaning --------------------------------------------------------------------------------------------------

    def release_orphaned(self) -> int:
        """Let go of the locks of orchestrations that have ended or are gone; returns how many entities are unlocked."""
        released = 0
        for owner in self.sections.owners():
            instance = self._context.instances.peek(owner)
            if instance is None or instance.finished:
                released += sum(self.release(identity, owner, section) for section, identity in self.sections.of(owner))
        return released

    def purge(self, identity: str) -> int:
        """Forget an entity with its state, unless something waits at it or it is locked; returns how many are gone."""
        entity = self.roster.find(identity)
        if entity is None or self.roster.in_memory(identity) or entity.mailbox.lock is not None:
            return 0
        self.journal.forget(identity)
        return 1

    def forget_empty(self, first: str, limit: int) -> tuple[int, str | None]:
        """Forget entities about which there is nothing to know, from the id `first` on, of `limit` without a state.

        Returns how many were forgotten, and the last id that was looked at when there may be more.
        """
        looked_at = self.journal.without_state(first, limit)
        empty = [each.id for each in looked_at if each.is_empty and not self.roster.in_memory(each.id)]
        for identity in empty:
            self.journal.forget(identity)
        return len(empty), looked_at[-1].id if len(looked_at) == limit else None

    # -- start -----------------------------------------------------------------------------------------------------

    def recover(self) -> tuple[int, int]:
        """Take up what the file holds: how many operations are to be run now, and how many signals later."""
        waiting = delayed = 0
        for entity in self.journal.locked():
            if entity.mailbox.lock is not None:
                self.sections.enter(entity.mailbox.lock.owner, entity.mailbox.lock.section, [entity.id])
        for stored in self.journal.messages():
            if stored.due is not None:
                self._set_alarm(stored.entity_id, stored.message, stored.due)
                delayed += 1
                continue
            waiting += 1
            self.roster.take(stored.entity_id).mailbox.put(stored.message)
            lock = stored.message.lock
            if lock is not None:
                self.sections.enter(lock.owner, lock.section, stored.message.event.entityLockRequested.lockSet)
        for entity in self.roster.active():
            self.batches.wake(entity)
        return waiting, delayed


def _beginning(start: pb.StartNewOrchestrationAction) -> Beginning:
    return Beginning(
        name=start.name,
        instance_id=start.instanceId,
        version=start.version.value if start.HasField("version") else None,
        input=start.input.value if start.HasField("input") else None,
        scheduled_at=events.instant(start.scheduledTime) if start.HasField("scheduledTime") else None,
        trace_context=start.parentTraceContext if start.HasField("parentTraceContext") else None,
    )
