"""Which entities the host's own Service Bus namespace has: those of a topology file, or those the app's bindings name.

Wiring: the app's `serviceBusTrigger` and `serviceBus` bindings -> `Want`s -> topology, and a warning for each want that
a topology file does not meet.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devhost.bindings import service_bus_output
from devhost.broker.errors import BrokerError
from devhost.broker.topology import QueueOptions, SubscriptionOptions, TopicOptions, Topology
from devhost.broker.topology_file import load_topology
from devhost.errors import StartError
from devhost.triggers.service_bus_binding import TRIGGER, read_entity
from devhost.triggers.service_bus_connection import Connection, resolve_connection
from devhost.triggers.setting_names import expand, flag_property, text_property
from devhost.worker.model import Binding, FunctionMetadata

_log = logging.getLogger(__name__)

FILE: Final = Path("infra", "servicebus.json")


@dataclass(frozen=True, slots=True)
class Want:
    """What one binding needs: a queue, or a topic, of which a trigger also names the subscription."""

    function: str
    connection: Connection
    queue: str = ""
    topic: str = ""
    subscription: str = ""
    sessions: bool = False

    def __str__(self) -> str:
        entity = self.queue or (f"{self.topic}/{self.subscription}" if self.subscription else self.topic)
        verb = "sends to" if not self.queue and not self.subscription else "uses"
        return f"function '{self.function}' {verb} {entity}"


def wants(functions: Sequence[FunctionMetadata], settings: Mapping[str, str]) -> list[Want]:
    """What the bindings of all functions need. Raises `StartError` naming a function and what its binding lacks."""
    found: list[Want] = []
    for function in functions:
        if function.trigger.type == TRIGGER:
            found.append(_of_trigger(function, settings))
        outputs = (each for each in function.bindings if each.is_output and each.type == service_bus_output.TYPE)
        found.extend(_of_output(function, binding, settings) for binding in outputs)
    return found


def topology_for(needs: Sequence[Want], app_dir: Path, chosen: Path | None) -> Topology:
    """The entities to serve; the log says where they come from, and which need the file leaves unmet.

    They are those of `chosen`, else of the app's own `infra/servicebus.json`, else exactly those that are needed, with
    the service's defaults. Raises `StartError` when the file is missing or malformed.
    """
    path = chosen or app_dir / FILE
    if chosen is not None and not chosen.is_file():
        raise StartError(f"the Service Bus topology file {chosen} does not exist")
    if not path.is_file():
        topology = needed(needs)
        names = ", ".join([each.name for each in topology.queues] + [each.name for each in topology.topics])
        _log.info("Service Bus entities, made from the app's bindings with default properties: %s", names)
        return topology
    try:
        topology = load_topology(path)
    except BrokerError as malformed:
        raise StartError(str(malformed)) from malformed
    _log.info("Service Bus entities, from %s: %d", path, len(topology.queues) + len(topology.topics))
    for missing in _unmet(needs, topology):
        _log.warning("%s, WHICH %s DOES NOT CONTAIN: it will not work", missing, path)
    return topology


def needed(needs: Sequence[Want]) -> Topology:
    """Exactly the entities that are needed. Names that differ only in case are one entity, as for the service."""
    queues: dict[str, QueueOptions] = {}
    topics: dict[str, tuple[str, dict[str, SubscriptionOptions]]] = {}
    for want in needs:
        if want.queue:
            known = queues.get(want.queue.lower())
            sessions = want.sessions or (known is not None and known.requires_session)
            queues[want.queue.lower()] = QueueOptions(known.name if known else want.queue, requires_session=sessions)
            continue
        _, subscriptions = topics.setdefault(want.topic.lower(), (want.topic, {}))
        if want.subscription:
            there = subscriptions.get(want.subscription.lower())
            sessions = want.sessions or (there is not None and there.requires_session)
            name = there.name if there else want.subscription
            subscriptions[want.subscription.lower()] = SubscriptionOptions(name, requires_session=sessions)
    built = (TopicOptions(name, subscriptions=tuple(each.values())) for name, each in topics.values())
    return Topology(tuple(queues.values()), tuple(built))


def _unmet(needs: Sequence[Want], topology: Topology) -> Iterator[Want]:
    queues = {queue.name.lower() for queue in topology.queues}
    topics = {topic.name.lower(): {each.name.lower() for each in topic.subscriptions} for topic in topology.topics}
    for want in needs:
        subscriptions = topics.get(want.topic.lower())
        if want.queue:
            met = want.queue.lower() in queues
        else:
            met = subscriptions is not None and (not want.subscription or want.subscription.lower() in subscriptions)
        if not met:
            yield want


def _of_trigger(function: FunctionMetadata, settings: Mapping[str, str]) -> Want:
    connection = resolve_connection(
        text_property(function, "connection", settings), settings, f"function '{function.name}'"
    )
    entity = read_entity(function, settings)
    sessions = flag_property(function, "isSessionsEnabled", default=False)
    if entity.subscription is None:
        return Want(function.name, connection, queue=entity.name, sessions=sessions)
    return Want(function.name, connection, topic=entity.name, subscription=entity.subscription, sessions=sessions)


def _of_output(function: FunctionMetadata, binding: Binding, settings: Mapping[str, str]) -> Want:
    where = f"function '{function.name}', output '{binding.name}'"

    def text(key: str) -> str:
        return expand(str(binding.properties.get(key) or ""), settings, f"{where}: {key}").strip()

    return Want(
        function.name,
        resolve_connection(text("connection"), settings, where),
        queue=text("queueName"),
        topic=text("topicName"),
    )
