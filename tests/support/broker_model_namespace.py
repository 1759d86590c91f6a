"""The naive model of a whole namespace: its boxes, its topics, duplicate detection, and one clock in seconds."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.broker_model import Box, Held, Refused, Sent, Waiting

type Wants = Callable[[Sent], bool]


@dataclass
class Topic:
    """A topic; scheduled messages wait in it until they are due."""

    path: str
    ttl: int | None
    #: By the subscription's box path: its rules by name.
    rules: dict[str, dict[str, Wants]] = field(default_factory=dict)
    next: int = 1
    scheduled: dict[int, Sent] = field(default_factory=dict)

    def spend(self) -> int:
        self.next += 1
        return self.next - 1


class Namespace:
    """Queues, topics and subscriptions by path."""

    def __init__(self, now: int = 0) -> None:
        self.now = now
        self.boxes: dict[str, Box] = {}
        self.topics: dict[str, Topic] = {}
        self.windows: dict[str, int] = {}
        self.ids: dict[tuple[str, str], int] = {}

    def add_box(self, box: Box) -> None:
        """A queue or a subscription, with its dead-letter queue."""
        path = f"{box.path}/$deadletterqueue"
        box.dead = Box(path, lock=box.lock, most=None, ttl=None, bury=False, sessions=False)
        self.boxes[box.path], self.boxes[path] = box, box.dead

    def remove_box(self, path: str) -> None:
        del self.boxes[path], self.boxes[f"{path}/$deadletterqueue"]

    # -- sending --------------------------------------------------------------------------------------------------

    def send(self, path: str, messages: list[Sent]) -> list[int]:
        """The numbers given, 0 for a duplicate."""
        box, topic = self.boxes.get(path), self.topics.get(path)
        if box is not None and box.sessions and any(sent.session_id is None for sent in messages):
            raise Refused("InvalidOperation")
        numbers = []
        for sent in messages:
            if self.is_duplicate(path, sent):
                numbers.append(0)
            elif box is not None:
                numbers.append(box.add(sent, self.now).number)
            else:
                assert topic is not None
                numbers.append(self.send_to_topic(topic, sent))
        return numbers

    def send_to_topic(self, topic: Topic, sent: Sent) -> int:
        number = topic.spend()
        if sent.due is not None and sent.due > self.now:
            topic.scheduled[number] = sent
        else:
            self.publish(topic, sent, number, self.now)
        return number

    def publish(self, topic: Topic, sent: Sent, number: int, at: int) -> None:
        copy = Sent(sent.body, sent.message_id, sent.session_id, sent.ttl, None, sent.properties)
        for path, rules in topic.rules.items():
            if not any(wants(sent) for wants in rules.values()):
                continue
            box = self.boxes[path]
            if box.sessions and sent.session_id is None:
                assert box.dead is not None
                held = Held(copy, box.dead.spend(), number, at, None, "waiting", dict(sent.properties))
                text = "Session enabled entity doesn't allow a message whose session identifier is null."
                held.dead = (box.path, "Session ID is null.", text)
                box.dead.held.append(held)
            else:
                box.add(copy, at, origin=number, ttl=topic.ttl)

    def is_duplicate(self, path: str, sent: Sent) -> bool:
        if path not in self.windows or sent.message_id is None:
            return False
        first = self.ids.get((path, sent.message_id))
        if first is not None and self.now < first + self.windows[path]:
            return True
        self.ids[path, sent.message_id] = self.now
        return False

    def cancel(self, path: str, numbers: list[int]) -> None:
        topic = self.topics.get(path)
        if topic is not None:
            if not all(number in topic.scheduled for number in numbers):
                raise Refused("MessageNotFound")
            for number in set(numbers):
                del topic.scheduled[number]
            return
        box = self.boxes[path]
        for held in [box.find(number, "scheduled") for number in set(numbers)]:
            box.drop(held)

    # -- time -----------------------------------------------------------------------------------------------------

    def move_to(self, now: int) -> None:
        """Let everything happen that falls due until `now`, in order of time."""
        while True:
            events: list[tuple[int, int, str, int, Callable[[], None]]] = []
            for box in self.boxes.values():
                event = box.next_event()
                if event is not None:
                    events.append((event[0], event[1], box.path, event[2], event[3]))
            for topic in self.topics.values():
                for number, sent in topic.scheduled.items():
                    assert sent.due is not None
                    due, act = sent.due, self.publisher(topic, number)
                    events.append((due, 0, topic.path, number, act))
            first = min(events, key=lambda event: event[:4], default=None)
            if first is None or first[0] > now:
                self.now = now
                return
            first[4]()

    def publisher(self, topic: Topic, number: int) -> Callable[[], None]:
        def act() -> None:
            sent = topic.scheduled.pop(number)
            assert sent.due is not None
            self.publish(topic, sent, number, sent.due)

        return act

    def serve(self) -> list[Waiting]:
        """Answer those who wait, everywhere."""
        return [waiter for box in self.boxes.values() for waiter in box.serve(self.now)]

    def numbers(self) -> dict[str, int]:
        """The next number of every box and topic."""
        boxes = {path: box.next for path, box in self.boxes.items()}
        return boxes | {path: topic.next for path, topic in self.topics.items()}

    def restart(self) -> None:
        for box in self.boxes.values():
            box.restart()
        for box in self.boxes.values():
            box.bury_exhausted()
