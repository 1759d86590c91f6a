"""The entities that random broker programs run on, drawn for the broker and for its model alike."""

from collections.abc import Callable
from datetime import timedelta
from random import Random

from devhost.broker.topology import (
    CorrelationFilter,
    QueueOptions,
    Rule,
    SqlFilter,
    SubscriptionOptions,
    TopicOptions,
    Topology,
)
from tests.support.broker_model import Box, Sent
from tests.support.broker_model_namespace import Namespace, Topic

WINDOW = 40
RULES = {
    "all": Rule("$Default"),
    "big": Rule("$Default", SqlFilter("n > 2 AND sys.Size > 0")),
    "chats": Rule("$Default", CorrelationFilter(properties={"n": 1})),
}
WANTS: dict[str, Callable[[Sent], bool]] = {
    "all": lambda _: True,
    "big": lambda sent: sent.properties["n"] > 2,
    "chats": lambda sent: sent.properties["n"] == 1,
}


def draw_topology(draw: Random, model: Namespace) -> Topology:
    """A plain queue, one with sessions, and a topic with three subscriptions; `model` gets the same."""
    queues = tuple(
        draw_queue(draw, model, name, sessions=sessions) for name, sessions in (("plain", False), ("talks", True))
    )
    topic = model.topics["news"] = Topic("news", draw.choice([None, 90]))
    subscriptions = tuple(draw_subscription(draw, model, topic, name) for name in RULES)
    duplicates = draw.random() < 0.5
    if duplicates:
        model.windows["news"] = WINDOW
    life = None if topic.ttl is None else timedelta(seconds=topic.ttl)
    options = TopicOptions("news", life, duplicates, timedelta(seconds=WINDOW), subscriptions=subscriptions)
    return Topology(queues, (options,))


def draw_queue(draw: Random, model: Namespace, name: str, *, sessions: bool) -> QueueOptions:
    options = QueueOptions(
        name,
        lock_duration=timedelta(seconds=draw.choice([20, 40])),
        max_delivery_count=draw.randint(1, 3),
        default_message_time_to_live=draw.choice([None, timedelta(seconds=60)]),
        dead_lettering_on_message_expiration=draw.random() < 0.5,
        requires_duplicate_detection=draw.random() < 0.5,
        duplicate_detection_history_time_window=timedelta(seconds=WINDOW),
        requires_session=sessions,
    )
    model.add_box(box_of(name, options))
    if options.requires_duplicate_detection:
        model.windows[name] = WINDOW
    return options


def draw_subscription(draw: Random, model: Namespace, topic: Topic, name: str) -> SubscriptionOptions:
    options = SubscriptionOptions(
        name,
        lock_duration=timedelta(seconds=30),
        max_delivery_count=draw.randint(1, 3),
        default_message_time_to_live=draw.choice([None, timedelta(seconds=50)]),
        # Expiry and arrival without a session id at one instant would leave the order of two dead letters open.
        dead_lettering_on_message_expiration=name != "chats",
        requires_session=name == "chats",
        rules=(RULES[name],),
    )
    box = box_of(f"news/subscriptions/{name}", options)
    model.add_box(box)
    topic.rules[box.path] = {"$Default": WANTS[name]}
    return options


def box_of(path: str, options: QueueOptions | SubscriptionOptions) -> Box:
    life = options.default_message_time_to_live
    return Box(
        path,
        lock=round(options.lock_duration.total_seconds()),
        most=options.max_delivery_count,
        ttl=None if life is None else round(life.total_seconds()),
        bury=options.dead_lettering_on_message_expiration,
        sessions=options.requires_session,
    )
