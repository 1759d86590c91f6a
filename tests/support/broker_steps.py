"""The steps of random broker programs: every operation, clock moves, cancellations, restarts and crashes."""

import asyncio
import copy
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from devhost.broker.errors import BrokerClosed, SessionLockLost
from devhost.broker.model import ReceiveMode, SessionLock
from devhost.broker.topology import QueueOptions, Rule, SqlFilter
from tests.support.broker_entities import RULES, box_of
from tests.support.broker_model import Box, Held, Refused, Sent, Waiting
from tests.support.broker_model_namespace import Namespace
from tests.support.broker_program import (
    START,
    Disagreement,
    Program,
    SessionHandle,
    Waiter,
    message_of,
    observed,
    seconds,
)

MODES = {True: ReceiveMode.RECEIVE_AND_DELETE, False: ReceiveMode.PEEK_LOCK}
SETTLEMENTS = ["complete", "complete", "abandon", "abandon", "release", "defer", "dead_letter", "renew"]
STEPS = {
    "send": 10,
    "send_cancelled": 1,
    "cancel_scheduled": 1,
    "receive": 10,
    "receive_cancelled": 2,
    "receive_waiting": 3,
    "stop_waiting": 1,
    "stop_waiting_when_served": 1,
    "receive_deferred": 3,
    "delete_messages": 1,
    "settle_one": 12,
    "accept": 5,
    "accept_next": 3,
    "use_session": 4,
    "change_rules": 1,
    "change_queue": 1,
    "make_or_remove_queue": 1,
    "advance": 5,
    "restart": 1,
    "crash": 1,
    "compare": 2,
}


class RandomProgram(Program):
    """A program of random steps."""

    async def run(self, steps: int) -> None:
        """Open, do `steps` random things, compare everything, and close."""
        await self.open()
        names = list(STEPS)
        try:
            for name in self.random.choices(names, [STEPS[name] for name in names], k=steps):
                await getattr(self, name)()
                await self.settle()
            await self.compare()
        finally:
            await self.broker.close()
            await asyncio.gather(*(waiter.task for waiter in self.waiters), return_exceptions=True)

    # -- sending --------------------------------------------------------------------------------------------------

    async def send(self) -> None:
        path, messages = self.draw_send()
        what = f"send to {path}: {messages}"
        done = await self.both(what, self.real_send(path, messages), lambda: self.model.send(path, messages))
        if done is not None:
            self.agree("numbers", *done)

    async def real_send(self, path: str, messages: list[Sent]) -> list[int]:
        return await self.broker.schedule(path, [message_of(sent) for sent in messages])

    async def send_cancelled(self) -> None:
        path, messages = self.draw_send()
        self.note(f"send to {path}, cancelled: {messages}")
        task = asyncio.create_task(self.real_send(path, messages))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with suppress(Refused):
            self.model.send(path, messages)

    async def cancel_scheduled(self) -> None:
        path = self.random.choice(["plain", "talks", "news"])
        box, topic = self.model.boxes.get(path), self.model.topics.get(path)
        known = (
            list(topic.scheduled)
            if topic
            else [one.number for one in box.held if one.status == "scheduled"]
            if box
            else []
        )
        numbers = [self.random.choice([*known, self.random.randint(1, 9)]) for _ in range(self.random.randint(1, 2))]
        what = f"cancel {numbers} of {path}"
        await self.both(what, self.broker.cancel_scheduled(path, numbers), lambda: self.model.cancel(path, numbers))

    # -- receiving ------------------------------------------------------------------------------------------------

    def draw_wish(self) -> tuple[Box, Waiting, SessionHandle | None]:
        box = self.draw_box()
        session = self.draw_session(box)
        wish = Waiting(
            self.random.randint(1, 3), self.random.random() < 0.25, None if session is None else session.hold
        )
        return box, wish, session

    def check_wish(self, box: Box, wish: Waiting) -> None:
        if wish.session is not None:
            box.live(wish.session)
        elif box.sessions:
            raise Refused("InvalidOperation")

    def real_receive(self, box: Box, wish: Waiting, session: SessionHandle | None, *, wait: bool) -> Awaitable[Any]:
        receive = self.broker.receive if wait else self.broker.receive_now
        lock = None if session is None else session.lock
        return receive(box.path, max_messages=wish.limit, mode=MODES[wish.delete], session=lock)

    async def receive(self) -> None:
        box, wish, session = self.draw_wish()

        def model() -> Any:
            self.check_wish(box, wish)
            queued = any(one.session is wish.session for one in box.receivers)
            return [] if queued else box.take_waiting(wish, self.model.now)

        what = f"receive {wish} from {box.path}"
        done = await self.both(what, self.real_receive(box, wish, session, wait=False), model)
        if done is not None:
            self.received(box.path, done[0], done[1], session)

    async def receive_cancelled(self) -> None:
        box, wish, session = self.draw_wish()
        self.note(f"receive {wish} from {box.path}, cancelled")
        task: asyncio.Future[Any] = asyncio.ensure_future(self.real_receive(box, wish, session, wait=False))
        for _ in range(self.random.randint(1, 2)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is None and task.result():
            raise Disagreement(f"a receive was answered before its commit could be on disk: {task.result()}")

    async def receive_waiting(self) -> None:
        if len(self.waiters) >= 4:
            return
        box, wish, session = self.draw_wish()
        try:
            self.check_wish(box, wish)
        except Refused:
            return
        self.note(f"wait for {wish} from {box.path}")
        task = asyncio.ensure_future(self.real_receive(box, wish, session, wait=True))
        box.receivers.append(wish)
        self.waiters.append(Waiter(box.path, task, wish, session))

    async def stop_waiting(self) -> None:
        if not self.waiters:
            return
        waiter = self.waiters.pop(self.random.randrange(len(self.waiters)))
        self.note(f"stop waiting on {waiter.path}")
        waiter.task.cancel()
        self.forget(waiter)
        await asyncio.gather(waiter.task, return_exceptions=True)

    def forget(self, waiter: Waiter) -> None:
        box = self.model.boxes[waiter.path]
        for line in (box.receivers, box.accepting):
            line[:] = [one for one in line if one is not waiter.model]

    async def stop_waiting_when_served(self) -> None:
        """Cancel a receiver in the instant between being served and hearing of it."""
        waiting = [waiter for waiter in self.waiters if waiter.model not in self.model.boxes[waiter.path].accepting]
        if not waiting:
            return
        waiter = self.random.choice(waiting)
        path, messages = self.draw_send()
        self.note(f"send to {path}, and stop waiting on {waiter.path}: {messages}")
        task = asyncio.create_task(self.real_send(path, messages))
        await asyncio.sleep(0)
        self.waiters.remove(waiter)
        waiter.task.cancel()
        with suppress(Refused):
            self.model.send(path, messages)
        self.served += self.model.serve()
        self.forget(waiter)
        self.model.boxes[waiter.path].put_back(waiter.model)
        await asyncio.gather(task, waiter.task, return_exceptions=True)

    async def receive_deferred(self) -> None:
        box, wish, session = self.draw_wish()
        known = [one.number for one in box.held if one.status in ("deferred", "deferred-locked")]
        numbers = list({self.random.choice([*known, *known, self.random.randint(1, 9)]) for _ in range(2)})

        def model() -> Any:
            self.check_wish(box, wish)
            return box.take_deferred(numbers, wish, self.model.now)

        lock = None if session is None else session.lock
        real = self.broker.receive_deferred(box.path, numbers, MODES[wish.delete], lock)
        done = await self.both(f"receive deferred {numbers} {wish} from {box.path}", real, model)
        if done is not None:
            self.received(box.path, done[0], done[1], session)

    async def delete_messages(self) -> None:
        box, most = self.draw_box(), self.random.randint(1, 3)
        before = self.model.now - self.random.choice([-1, 0, 30])

        def model() -> int:
            found = [held for held in box.waiting()[:most] if held.enqueued < before]
            for held in found:
                box.drop(held)
            return len(found)

        real = self.broker.delete_messages(
            box.path, max_messages=most, enqueued_before=START + timedelta(seconds=before)
        )
        done = await self.both(f"delete {most} of {box.path} before {before}", real, model)
        if done is not None:
            self.agree("deleted", *done)

    # -- settling -------------------------------------------------------------------------------------------------

    def draw_settlement(self) -> tuple[str, Awaitable[Any], Callable[[], Any]] | None:
        if not self.handles:
            return None
        place = max(0, len(self.handles) - 1 - int(self.random.expovariate(0.6)))
        handle = self.handles[place] if self.random.random() < 0.2 else self.handles.pop(place)
        kind = self.random.choice(
            ["complete", "complete", "abandon", "abandon", "release", "defer", "dead_letter", "renew"]
        )
        changes = {"x": self.random.randint(0, 9)} if self.random.random() < 0.3 else None
        session = handle.session if self.random.random() < 0.5 else None
        lock = None if session is None else session.lock
        broker, path, token = self.broker, handle.path, handle.token
        real: dict[str, Callable[[], Awaitable[Any]]] = {
            "complete": lambda: broker.complete(path, token, session=lock),
            "abandon": lambda: broker.abandon(path, token, changes, session=lock),
            "release": lambda: broker.release(path, token, session=lock),
            "defer": lambda: broker.defer(path, token, changes, session=lock),
            "dead_letter": lambda: broker.dead_letter(
                path, token, reason="no", description="good", properties=changes, session=lock
            ),
            "renew": lambda: broker.renew_lock(path, [token]),
        }

        def model() -> Any:
            box = self.model.boxes.get(path)
            if box is None:
                raise Refused("EntityNotFound")
            if session is not None and kind != "renew":
                box.live(session.hold)
            return self.settle_in_model(box, box.locked_as(handle.lock), kind, changes or {})

        return f"{kind} {token} of {path} {changes} {session}", real[kind](), model

    def settle_in_model(self, box: Box, held: Held, kind: str, changes: dict[str, Any]) -> Any:
        if kind == "renew":
            if box.sessions:
                raise Refused("InvalidOperation")
            held.until = self.model.now + box.lock
            return [held.until]
        if kind == "dead_letter" and box.dead is None:
            raise Refused("InvalidOperation")
        if kind == "release":
            box.release(held, self.model.now, counted=False)
            return None
        held.properties |= changes
        if kind == "complete":
            box.drop(held)
        elif kind == "abandon":
            box.release(held, self.model.now)
        elif kind == "defer":
            held.status, held.lock, held.until = "deferred", None, None
            box.refresh()
        else:
            box.move_to_dead(held, "no", "good")
        return None

    async def settle_one(self) -> None:
        drawn = self.draw_settlement()
        if drawn is not None:
            done = await self.both(*drawn)
            if done is not None and done[1] is not None:
                self.agree("renewed until", [seconds(end) for end in done[0]], done[1])

    # -- sessions -------------------------------------------------------------------------------------------------

    async def accept(self) -> None:
        box = self.random.choice([box for box in self.model.boxes.values() if box.sessions])
        name = self.random.choice([*box.available, *"abc"])
        real = self.broker.accept_session(box.path, name)
        done = await self.both(f"accept {name} of {box.path}", real, lambda: box.accept(name, self.model.now))
        if done is not None:
            self.accepted(box.path, *done)

    async def accept_next(self) -> None:
        if len(self.waiters) >= 4:
            return
        box = self.random.choice([box for box in self.model.boxes.values() if box.sessions])
        self.note(f"accept the next session of {box.path}")
        wish = Waiting(0, False, None)
        box.accepting.append(wish)
        task = asyncio.create_task(self.broker.accept_session(box.path, None))
        self.waiters.append(Waiter(box.path, task, wish, None))

    async def use_session(self) -> None:
        if not self.sessions:
            return
        handle = self.random.choice([*self.sessions, *self.sessions[-2:]])
        box, hold, lock = self.model.boxes[handle.path], handle.hold, handle.lock
        kind = self.random.choice(["renew", "release", "set", "get"])
        state = self.random.choice([b"one", b"two", None])

        def model() -> Any:
            box.live(hold)
            if kind == "renew":
                hold.until = self.model.now + box.lock
            elif kind == "release":
                box.end(hold, self.model.now, counted=False)
            elif kind == "set":
                box.states[hold.session_id] = state or b""
            return box.states.get(hold.session_id) or None

        real: dict[str, Callable[[], Awaitable[Any]]] = {
            "renew": lambda: self.broker.renew_session(lock),
            "release": lambda: self.broker.release_session(lock),
            "set": lambda: self.broker.set_session_state(lock, state),
            "get": lambda: self.broker.session_state(lock),
        }
        done = await self.both(f"{kind} session {hold} of {box.path}", real[kind](), model)
        if done is not None and kind == "get":
            self.agree("session state", *done)

    # -- entities -------------------------------------------------------------------------------------------------

    async def change_rules(self) -> None:
        name = self.random.choice(list(RULES))
        path, number = f"news/subscriptions/{name}", self.random.randint(0, 5)
        rules = self.model.topics["news"].rules[path]
        rule = f"only{number}"
        if self.random.random() < 0.5:
            known = rule in rules

            def add() -> None:
                if known:
                    raise Refused("EntityExists")
                rules[rule] = lambda sent: sent.properties["n"] == number

            added = Rule(rule, SqlFilter(f"n = {number}"))
            await self.both(f"add {rule} to {path}", self.broker.add_rule(path, added), add)
        else:
            rule = self.random.choice([rule, "$Default"])

            def remove() -> None:
                if rules.pop(rule, None) is None:
                    raise Refused("EntityNotFound")

            await self.both(f"remove {rule} from {path}", self.broker.remove_rule(path, rule), remove)

    async def change_queue(self) -> None:
        name = self.random.choice(["plain", "talks"])
        box, most = self.model.boxes[name], self.random.randint(1, 4)
        (options,) = (options for options in self.broker.queues() if options.name == name)
        changed = copy.replace(options, max_delivery_count=most)

        def model() -> None:
            box.most = most

        await self.both(f"{name} has {most} deliveries", self.broker.update_queue(changed), model)

    async def make_or_remove_queue(self) -> None:
        options = QueueOptions("extra", max_delivery_count=2)
        if "extra" not in self.model.boxes:

            def make() -> None:
                self.model.add_box(box_of("extra", options))

            await self.both("make extra", self.broker.create_queue(options), make)
            return
        if any(waiter.path.startswith("extra") for waiter in self.waiters):
            return
        real = self.broker.delete_queue("extra")
        await self.both("remove extra", real, lambda: self.model.remove_box("extra"))

    # -- time and stops -------------------------------------------------------------------------------------------

    async def advance(self) -> None:
        by = self.random.choice([2, 10, 20, 30, 40, 60, 120])
        self.note(f"advance by {by}")
        self.clock.advance(timedelta(seconds=by))
        self.model.move_to(self.model.now + by)

    async def restart(self) -> None:
        self.note("close and open")
        await self.broker.close()
        await self.start_again([self.model])

    async def crash(self) -> None:
        """Stop without closing, with calls under way: what was acknowledged has happened, of the rest a prefix."""
        states, tasks = [copy.deepcopy(self.model)], []
        for _ in range(self.random.randint(0, 3)):
            drawn = self.draw_settlement() if self.random.random() < 0.5 else None
            if drawn is None:
                path, messages = self.draw_send()
                drawn = (
                    f"send to {path}: {messages}",
                    self.real_send(path, messages),
                    lambda path=path, messages=messages: self.model.send(path, messages),
                )
            what, real, model = drawn
            self.note(f"under way: {what}")
            # What writes nothing is acknowledged without waiting for what was written before.
            writes = not what.startswith(("abandon", "renew"))
            tasks.append((asyncio.ensure_future(real), writes))
            with suppress(Refused):
                model()
            # Whoever is served by it hears of it with the same commit.
            self.model.serve()
            states.append(copy.deepcopy(self.model))
        for _ in range(self.random.randint(0, 4)):
            await asyncio.sleep(0)
        self.note("crash")
        done = [writes and task.done() and task.exception() is None for task, writes in tasks]
        acknowledged = max((place for place, acknowledged in enumerate(done, 1) if acknowledged), default=0)
        await self.broker.abort()
        await asyncio.gather(*(task for task, _ in tasks), return_exceptions=True)
        await self.start_again(states[acknowledged:])

    async def start_again(self, states: list[Namespace]) -> None:
        """Open again, and go on from the one of the possible `states` that the broker is in."""
        self.handles.clear()
        self.sessions.clear()
        outcomes = await asyncio.gather(*(waiter.task for waiter in self.waiters), return_exceptions=True)
        ends = (BrokerClosed, SessionLockLost, SessionLock, list)
        self.agree("calls that do not end", [one for one in outcomes if not isinstance(one, ends)], [])
        self.waiters.clear()
        # Numbers spent on messages that nobody kept leave no other trace.
        spent = spent_numbers(self.path)
        states = [state for state in states if all(spent[path] == number for path, number in state.numbers().items())]
        await self.open()
        for state in states:
            state.restart()
            state.move_to(state.now)
        got = await self.seen_of(states)
        for state in states:
            if observed(state) == got.get(frozenset(state.boxes)):
                self.model = state
                return
        raise Disagreement(f"after the stop the broker has\n  {got}\nand not one of\n  {[observed(s) for s in states]}")

    async def seen_of(self, states: list[Namespace]) -> dict[frozenset[str], dict[str, Any]]:
        shown = {}
        for state in states:
            self.model = state
            shown[frozenset(state.boxes)] = await self.seen()
        return shown


def spent_numbers(path: Path) -> dict[str, int]:
    """The next sequence number of each queue and topic, from the broker's file."""
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT path, next_number FROM entities"))
