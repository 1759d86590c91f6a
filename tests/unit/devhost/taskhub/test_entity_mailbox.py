"""In which order an entity's messages are taken, and what a lock does to it."""

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from hypothesis import given
from hypothesis import strategies as st

from devhost.taskhub.entities.mailbox import Batch, EntityMailbox, EntityMessage, Lock
from tests.support.entity_events import call, lock_request, messages, signal

LOCK = Lock("section", "owner")
ALL = 1_000


def numbers(batch: Batch | None) -> list[int]:
    """The numbers of what is out, the lock request last."""
    assert batch is not None
    return [each.number for each in (*batch.operations, *([batch.lock_request] if batch.lock_request else []))]


def test_nothing_comes_out_of_an_empty_mailbox() -> None:
    assert EntityMailbox().take(10, ALL) is None


def test_operations_come_out_together_in_the_order_of_their_arrival() -> None:
    mailbox = EntityMailbox(messages(call(), signal(), call("other")))
    batch = mailbox.take(10, ALL)
    assert numbers(batch) == [1, 2, 3]
    assert batch is not None
    assert batch.lock_request is None


def test_a_batch_has_at_most_the_given_number_of_operations() -> None:
    mailbox = EntityMailbox(messages(signal(), signal(), lock_request()))
    assert numbers(mailbox.take(2, ALL)) == [1, 2]
    mailbox.settle(2)
    assert numbers(mailbox.take(2, ALL)) == [3]


def test_a_batch_ends_before_the_first_message_that_may_not_be_taken_yet() -> None:
    mailbox = EntityMailbox(messages(signal(), signal(), lock_request()))
    assert numbers(mailbox.take(10, before=2)) == [1]
    mailbox.settle(1)
    assert mailbox.take(10, before=2) is None
    assert numbers(mailbox.take(10, before=3)) == [2]
    mailbox.settle(1)
    assert mailbox.take(10, before=3) is None
    assert numbers(mailbox.take(10, before=4)) == [3]


def test_nothing_comes_out_while_a_batch_is_out() -> None:
    mailbox = EntityMailbox(messages(signal()))
    mailbox.take(10, ALL)
    mailbox.put(EntityMessage(2, signal()))
    assert mailbox.take(10, ALL) is None
    assert mailbox.backlog == 2
    mailbox.settle(1)
    assert numbers(mailbox.take(10, ALL)) == [2]


def test_operations_that_were_not_done_come_out_again_first_and_hold_up_the_lock() -> None:
    mailbox = EntityMailbox(messages(signal(), signal(), lock_request()))
    mailbox.take(10, ALL)
    assert mailbox.settle(1) is None
    assert mailbox.lock is None
    assert numbers(mailbox.take(10, ALL)) == [2, 3]


def test_a_batch_that_was_given_back_comes_out_as_it_was() -> None:
    mailbox = EntityMailbox(messages(signal(), lock_request()))
    mailbox.take(10, ALL)
    mailbox.give_back()
    assert numbers(mailbox.take(10, ALL)) == [1, 2]


def test_a_batch_that_is_not_out_cannot_end() -> None:
    mailbox = EntityMailbox(messages(signal()))
    with pytest.raises(RuntimeError, match="no batch is out"):
        mailbox.settle(0)
    with pytest.raises(RuntimeError, match="no batch is out"):
        mailbox.give_back()


def test_a_lock_request_ends_a_batch_and_is_granted_after_it() -> None:
    mailbox = EntityMailbox(messages(signal(), lock_request(), signal()))
    assert numbers(mailbox.take(10, ALL)) == [1, 2]
    granted = mailbox.settle(1)
    assert granted is not None
    assert (granted.number, mailbox.lock) == (2, LOCK)


def test_behind_a_lock_everything_waits_but_the_calls_of_its_owner() -> None:
    mailbox = EntityMailbox(messages(signal(), call("other"), lock_request("third", "its own")), lock=LOCK)
    assert mailbox.take(10, ALL) is None
    for message in messages(call("owner"), signal(), call("owner"), first=4):
        mailbox.put(message)
    assert numbers(mailbox.take(10, ALL)) == [4, 6]
    mailbox.settle(2)
    assert mailbox.take(10, ALL) is None
    assert mailbox.backlog == 4


def test_what_waited_comes_out_in_order_once_the_lock_is_gone() -> None:
    mailbox = EntityMailbox(messages(signal(), call("other"), lock_request("third", "its own")), lock=LOCK)
    assert mailbox.release("section").unlocked
    assert mailbox.lock is None
    assert numbers(mailbox.take(10, ALL)) == [1, 2, 3]


def test_calls_that_the_owner_left_behind_come_first() -> None:
    mailbox = EntityMailbox(messages(signal()), lock=LOCK)
    for message in messages(call("owner"), call("owner"), first=2):
        mailbox.put(message)
    mailbox.release("section")
    assert numbers(mailbox.take(10, ALL)) == [2, 3, 1]


def test_a_batch_of_the_owner_may_end_after_its_lock() -> None:
    mailbox = EntityMailbox(messages(signal()), lock=LOCK)
    mailbox.put(EntityMessage(2, call("owner")))
    assert numbers(mailbox.take(10, ALL)) == [2]
    mailbox.release("section")
    mailbox.settle(1)
    assert numbers(mailbox.take(10, ALL)) == [1]


def test_another_section_of_the_same_owner_does_not_unlock() -> None:
    mailbox = EntityMailbox(lock=LOCK)
    released = mailbox.release("another")
    assert (released.unlocked, released.withdrew, mailbox.lock) == (False, (), LOCK)


def test_letting_go_of_a_lock_that_is_not_granted_yet_withdraws_the_request() -> None:
    mailbox = EntityMailbox(messages(signal(), lock_request(), signal()))
    released = mailbox.release("section")
    assert (released.unlocked, released.withdrew) == (False, (2,))
    assert numbers(mailbox.take(10, ALL)) == [1, 3]


def test_a_request_that_is_withdrawn_while_it_is_out_is_not_granted() -> None:
    mailbox = EntityMailbox(messages(signal(), lock_request()))
    mailbox.take(10, ALL)
    assert mailbox.release("section").withdrew == (2,)
    assert mailbox.settle(1) is None
    assert mailbox.lock is None
    assert mailbox.backlog == 0


EVENTS = {
    "signal": signal(),
    "call of a": call("a"),
    "call of b": call("b"),
    "lock for a": lock_request("a", "section of a"),
    "lock for b": lock_request("b", "section of b"),
}
STEPS = st.lists(
    st.sampled_from([*EVENTS, "release a", "release b", "give back"]) | st.tuples(st.integers(1, 4), st.integers(0, 4)),
    max_size=60,
)


class Model:
    """What a mailbox is, written as plainly as it can be: one list, searched from its start."""

    def __init__(self) -> None:
        self.queue: list[EntityMessage] = []
        self.lock: Lock | None = None

    def batch(self, limit: int) -> list[int]:
        if self.lock is not None:
            open_to = [each for each in self.queue if each.caller == self.lock.owner and self.after_lock(each)]
        else:
            open_to = self.queue
        taken: list[int] = []
        for message in open_to[:limit]:
            taken.append(message.number)
            if message.lock is not None:
                break
        return taken

    def after_lock(self, message: EntityMessage) -> bool:
        return message.number > self.locked_at

    def finish(self, taken: list[int], done: int) -> None:
        for number in taken[:done]:
            message = next(each for each in self.queue if each.number == number)
            self.queue.remove(message)
            if message.lock is not None:
                self.lock, self.locked_at = message.lock, max([each.number for each in self.queue], default=0)

    def asked(self, owner: str) -> bool:
        """Whether the owner's section has a request or the lock here: the SDK refuses sections in one another."""
        holds = self.lock is not None and self.lock.owner == owner
        return holds or any(each.lock is not None and each.lock.owner == owner for each in self.queue)

    locked_at = 0

    def release(self, owner: str) -> None:
        section = f"section of {owner}"
        self.queue = [each for each in self.queue if each.lock is None or each.lock.section != section]
        if self.lock is not None and self.lock.section == section:
            late = [each for each in self.queue if each.caller == owner and self.after_lock(each)]
            self.queue = [*late, *[each for each in self.queue if each not in late]]
            self.lock = None


@given(STEPS)
def test_whatever_happens_a_mailbox_does_as_its_plain_model(steps: list[str | tuple[int, int]]) -> None:
    mailbox, model = EntityMailbox(), Model()
    for number, step in enumerate(steps, start=1):
        if isinstance(step, tuple):
            _take_and_settle(mailbox, model, *step)
        elif step == "give back":
            if mailbox.take(3, ALL) is not None:
                mailbox.give_back()
        elif step.startswith("release"):
            mailbox.release(f"section of {step[-1]}")
            model.release(step[-1])
        elif not (step.startswith("lock") and model.asked(step[-1])):
            _put(mailbox, model, EntityMessage(number, EVENTS[step]))
        assert mailbox.backlog == len(model.queue)
        assert mailbox.lock == model.lock


def _put(mailbox: EntityMailbox, model: Model, message: EntityMessage) -> None:
    mailbox.put(message)
    model.queue.append(message)


def _take_and_settle(mailbox: EntityMailbox, model: Model, limit: int, done: int) -> None:
    expected = model.batch(limit)
    batch = mailbox.take(limit, ALL)
    assert (numbers(batch) if batch else []) == expected
    if batch is not None:
        done = min(done, len(batch.operations))
        granted = mailbox.settle(done)
        whole = done == len(batch.operations)
        assert (granted is not None) == (whole and batch.lock_request is not None)
        model.finish(expected, len(expected) if whole else done)


def test_the_callers_of_messages_are_told_apart() -> None:
    events: list[tuple[pb.HistoryEvent, str | None]] = [(call("a"), "a"), (signal(), None), (lock_request("b"), "b")]
    assert [EntityMessage(1, event).caller for event, _ in events] == [caller for _, caller in events]
