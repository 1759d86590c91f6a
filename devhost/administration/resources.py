"""The operations of the administration protocol: what a method on a path does to the broker.

Paths: `/$Resources/queues`, `/$Resources/topics`, `/$namespaceinfo`, `/<entity>`, `/<topic>/subscriptions[/<name>]`,
`/<topic>/subscriptions/<name>/rules[/<name>]`. A PUT creates; with `If-Match` it updates.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement

from devhost.administration.atom import (
    Entry,
    read_content,
    read_description,
    sb,
    write_entry,
    write_feed,
    write_instant,
)
from devhost.administration.descriptions import element_name, read_options, write_description
from devhost.administration.rule_descriptions import RULE_ELEMENT, read_rule, write_rule
from devhost.broker.broker import Broker
from devhost.broker.errors import BrokerError, EntityExists, EntityNotFound
from devhost.broker.topology import QueueOptions, Rule, SubscriptionOptions, TopicOptions
from devhost.clock import Clock

_NAMESPACE = "devhost"
_START = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Call:
    """A request taken apart: the path's variable parts, and what is needed to answer."""

    names: Sequence[str]
    body: bytes
    updates: bool
    skip: int
    top: int
    #: The address asked for, without its query.
    address: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a document."""

    status: int
    body: bytes = b""


class Resources:
    """The namespace's entities as resources."""

    def __init__(self, broker: Broker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        operations: Mapping[tuple[str, str], Callable[[Call], Awaitable[Answer]]] = {
            ("namespace", "GET"): self._namespace,
            ("queues", "GET"): self._list_queues,
            ("topics", "GET"): self._list_topics,
            ("entity", "GET"): self._get_entity,
            ("entity", "PUT"): self._put_entity,
            ("entity", "DELETE"): self._delete_entity,
            ("subscriptions", "GET"): self._list_subscriptions,
            ("subscription", "GET"): self._get_subscription,
            ("subscription", "PUT"): self._put_subscription,
            ("subscription", "DELETE"): self._delete_subscription,
            ("rules", "GET"): self._list_rules,
            ("rule", "GET"): self._get_rule,
            ("rule", "PUT"): self._put_rule,
            ("rule", "DELETE"): self._delete_rule,
        }
        self._operations = operations

    async def serve(self, kind: str, method: str, call: Call) -> Answer | None:
        """Answer a call; None when the kind of resource does not know the method. Raises `BrokerError`,
        `DocumentError`."""
        operation = self._operations.get((kind, method))
        return None if operation is None else await operation(call)

    async def _namespace(self, call: Call) -> Answer:
        info = Element(sb("NamespaceInfo"))
        for name, text in (
            ("CreatedTime", write_instant(_START)),
            ("MessagingSKU", "Standard"),
            ("ModifiedTime", write_instant(_START)),
            ("Name", _NAMESPACE),
            ("NamespaceType", "Messaging"),
        ):
            SubElement(info, sb(name)).text = text
        return Answer(200, write_entry(Entry(_NAMESPACE, call.address, info, self._clock.now())))

    # Queues and topics share one name space.

    async def _list_queues(self, call: Call) -> Answer:
        return self._feed("Queues", call, [self._entity_entry(call, queue) for queue in self._broker.queues()])

    async def _list_topics(self, call: Call) -> Answer:
        return self._feed("Topics", call, [self._entity_entry(call, topic) for topic in self._broker.topics()])

    async def _get_entity(self, call: Call) -> Answer:
        return Answer(200, write_entry(self._entity_entry(call, self._require_entity(call.names[0]))))

    async def _put_entity(self, call: Call) -> Answer:
        name = call.names[0]
        existing = self._entity(name)
        if call.updates and existing is None:
            raise EntityNotFound(f"there is no queue or topic {name!r}")
        if not call.updates and existing is not None:
            raise EntityExists(f"there is an entity {name!r} already")
        if read_content(call.body).tag == sb(element_name(TopicOptions)):
            await self._put_topic(call, existing)
        else:
            await self._put_queue(call, existing)
        stored = self._require_entity(name)
        return Answer(200 if call.updates else 201, write_entry(self._entity_entry(call, stored)))

    async def _put_queue(self, call: Call, existing: QueueOptions | TopicOptions | None) -> None:
        given = _given(call, QueueOptions)
        if isinstance(existing, QueueOptions):
            await self._broker.update_queue(replace(existing, **given))
        else:
            await self._broker.create_queue(QueueOptions(call.names[0], **given))

    async def _put_topic(self, call: Call, existing: QueueOptions | TopicOptions | None) -> None:
        given = _given(call, TopicOptions)
        if isinstance(existing, TopicOptions):
            await self._broker.update_topic(replace(existing, **given))
        else:
            await self._broker.create_topic(TopicOptions(call.names[0], **given))

    async def _delete_entity(self, call: Call) -> Answer:
        entity = self._require_entity(call.names[0])
        if isinstance(entity, QueueOptions):
            await self._broker.delete_queue(entity.name)
        else:
            await self._broker.delete_topic(entity.name)
        return Answer(200)

    def _entity(self, name: str) -> QueueOptions | TopicOptions | None:
        entities: list[QueueOptions | TopicOptions] = [*self._broker.queues(), *self._broker.topics()]
        return _named(entities, name)

    def _require_entity(self, name: str) -> QueueOptions | TopicOptions:
        entity = self._entity(name)
        if entity is None:
            raise EntityNotFound(f"there is no queue or topic {name!r}")
        return entity

    def _entity_entry(self, call: Call, options: QueueOptions | TopicOptions) -> Entry:
        counts = self._broker.counts(options.name)
        updated = counts.updated_at or _START
        return Entry(options.name, _address(call, options.name), write_description(options, counts), updated)

    # Subscriptions.

    async def _list_subscriptions(self, call: Call) -> Answer:
        topic = call.names[0]
        found = [self._subscription_entry(call, options) for options in self._broker.subscriptions(topic)]
        return self._feed("Subscriptions", call, found)

    async def _get_subscription(self, call: Call) -> Answer:
        return Answer(200, write_entry(self._subscription_entry(call, self._subscription(call))))

    async def _put_subscription(self, call: Call) -> Answer:
        topic, name = call.names
        given = _given(call, SubscriptionOptions)
        if call.updates:
            await self._broker.update_subscription(topic, replace(self._subscription(call), **given))
        else:
            rule = _default_rule(call.body)
            rules: dict[str, Any] = {} if rule is None else {"rules": (rule,)}
            await self._broker.create_subscription(topic, SubscriptionOptions(name, **given, **rules))
        stored = self._subscription_entry(call, self._subscription(call))
        return Answer(200 if call.updates else 201, write_entry(stored))

    async def _delete_subscription(self, call: Call) -> Answer:
        await self._broker.delete_subscription(*call.names)
        return Answer(200)

    def _subscription(self, call: Call) -> SubscriptionOptions:
        topic, name = call.names[:2]
        found = _named(self._broker.subscriptions(topic), name)
        if found is None:
            raise EntityNotFound(f"there is no subscription {name!r} of the topic {topic!r}")
        return found

    def _subscription_entry(self, call: Call, options: SubscriptionOptions) -> Entry:
        counts = self._broker.counts(f"{call.names[0]}/subscriptions/{options.name}")
        address = _address(call, call.names[0], "Subscriptions", options.name)
        return Entry(options.name, address, write_description(options, counts), counts.updated_at or _START)

    # Rules.

    async def _list_rules(self, call: Call) -> Answer:
        return self._feed("Rules", call, [_rule_entry(call, rule) for rule in self._broker.rules(_path(call))])

    async def _get_rule(self, call: Call) -> Answer:
        return Answer(200, write_entry(_rule_entry(call, self._rule(call))))

    async def _put_rule(self, call: Call) -> Answer:
        rule = read_rule(call.names[2], read_description(call.body, RULE_ELEMENT))
        if call.updates:
            await self._replace_rule(call, rule)
        else:
            await self._broker.add_rule(_path(call), rule)
        return Answer(200 if call.updates else 201, write_entry(_rule_entry(call, rule)))

    async def _replace_rule(self, call: Call, rule: Rule) -> None:
        before = self._rule(call)
        await self._broker.remove_rule(_path(call), before.name)
        try:
            await self._broker.add_rule(_path(call), rule)
        except BrokerError:
            await self._broker.add_rule(_path(call), before)
            raise

    async def _delete_rule(self, call: Call) -> Answer:
        await self._broker.remove_rule(_path(call), call.names[2])
        return Answer(200)

    def _rule(self, call: Call) -> Rule:
        found = _named(self._broker.rules(_path(call)), call.names[2])
        if found is None:
            raise EntityNotFound(f"there is no rule {call.names[2]!r} on {_path(call)!r}")
        return found

    def _feed(self, title: str, call: Call, entries: list[Entry]) -> Answer:
        page = entries[call.skip : call.skip + call.top]
        after = call.skip + call.top
        following = f"{call.address}?$skip={after}&$top={call.top}" if after < len(entries) else None
        return Answer(200, write_feed(title, call.address, page, following=following, now=self._clock.now()))


def _named[T: (QueueOptions | TopicOptions, SubscriptionOptions, Rule)](items: Sequence[T], name: str) -> T | None:
    return next((item for item in items if item.name.lower() == name.lower()), None)


def _given(call: Call, kind: type) -> dict[str, Any]:
    return read_options(read_description(call.body, element_name(kind)), kind)


def _default_rule(body: bytes) -> Rule | None:
    """The rule a subscription is to start with, when its description states one."""
    description = read_description(body, element_name(SubscriptionOptions)).find(sb("DefaultRuleDescription"))
    if description is None:
        return None
    return read_rule(description.findtext(sb("Name")) or "$Default", description)


def _path(call: Call) -> str:
    return f"{call.names[0]}/subscriptions/{call.names[1]}"


def _rule_entry(call: Call, rule: Rule) -> Entry:
    address = _address(call, call.names[0], "Subscriptions", call.names[1], "Rules", rule.name)
    return Entry(rule.name, address, write_rule(rule, _START), _START)


def _address(call: Call, *parts: str) -> str:
    """An entity's own address, from which some clients take its name: hence its letters are those of the service."""
    scheme, _, host = call.address.split("/", 3)[:3]
    return f"{scheme}//{host}/{quote('/'.join(parts), safe='/$~')}"
