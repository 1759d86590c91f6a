"""Carries out a plan: one run of the real app on virtual time, until nothing is going to happen any more."""

import asyncio
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

from devhost.broker.errors import BrokerError
from devhost.broker.model import Delivery
from orchestrations.nodes import PatternRequest
from orchestrations.starter import run_id
from orchestrations.task_view import task_view
from shared.errors import Conflict, NotFound, RetryableError
from shared.state.sqlite import SqliteState
from shared.status import run_is_over
from tests.support.fault_plans.app import SOUND, App, Outside, Parts
from tests.support.fault_plans.crew import CATALOGS, answer_of, request_for
from tests.support.fault_plans.hub import Hub
from tests.support.fault_plans.namespace import Namespace
from tests.support.fault_plans.observed import Completed, Delivered, Ending, Notebook, Observed
from tests.support.fault_plans.plan import FaultPlan, Injector, Kind
from tests.support.fault_plans.ports import Circuits, Model
from tests.support.fault_plans.process import Process, ProcessEnded
from tests.support.fault_plans.virtual_time import run_virtually

_LOOK_EVERY = 60.0
_LONGEST = 6 * 3600.0
KEY = "asked once"


def carry_out(plan: FaultPlan, parts: Parts = SOUND) -> Observed:
    """What is seen while `plan` is carried out on an app made of `parts`."""
    return run_virtually(_Simulation(plan, parts).run())


class _Simulation:
    def __init__(self, plan: FaultPlan, parts: Parts) -> None:
        self._plan = plan
        self._parts = parts
        self._injector = Injector(plan.faults)
        self._chance = random.Random(f"what {plan.pattern} is asked {plan.seed}")
        self._request = request_for(plan.pattern, self._chance)
        self._task_id = run_id(plan.pattern, KEY)
        self._notebook = Notebook(lambda: asyncio.get_running_loop().time())
        self._apps: list[App] = []
        self._turn = 0
        self._deliveries = 0

    async def run(self) -> Observed:
        plan, catalog = self._plan, CATALOGS[self._plan.pattern]
        namespace = await Namespace.open(catalog, timedelta(seconds=plan.lock_seconds), self._notebook)
        model = Model(lambda agent, number: answer_of(agent, self._chance, number))
        self._outside = Outside(catalog, SqliteState(Path(":memory:")), namespace, Circuits(), model)
        self._apps = [self._new_app() for _ in range(plan.processes)]
        self._hub = Hub(plan, self._injector, self._activity)
        pumps = [asyncio.create_task(self._pump(queue)) for queue in namespace.queues]
        people = [asyncio.create_task(self._client())]
        if plan.cancelled_after is not None:
            people.append(asyncio.create_task(self._person(plan.cancelled_after)))
        await self._rest(people)
        ending = await self._ending()
        for pump in pumps:
            pump.cancel()
        await self._hub.close()
        await namespace.broker.close()
        await self._outside.store.close()
        return Observed(tuple(self._notebook.seen), ending)

    async def _rest(self, people: list[asyncio.Task[None]]) -> None:
        """Wait until the run is over and no message is under way, or for so long that it never will be."""
        loop = asyncio.get_running_loop()
        while loop.time() < _LONGEST:
            await asyncio.sleep(_LOOK_EVERY)
            record = await self._outside.store.read_run(self._task_id)
            over = record is not None and run_is_over(record.run.status)
            at_rest = self._hub.status(self._task_id) not in ("pending", "running")
            if over and at_rest and all(task.done() for task in people) and not await self._outside.namespace.lying():
                return

    async def _ending(self) -> Ending:
        record = await self._outside.store.read_run(self._task_id)
        return Ending(
            record,
            self._hub.status(self._task_id),
            self._hub.output(self._task_id),
            await self._outside.namespace.lying(),
            await self._outside.namespace.dead(),
            task_view(record).calls_repeated if record is not None else 0,
        )

    # -- the app's processes ------------------------------------------------------------------------------------------

    def _new_app(self) -> App:
        self._turn += 1
        process = Process(f"process-{self._turn}", self._notebook, self._injector)
        return App(self._outside, lambda: self._hub, process, self._parts)

    def _app(self) -> App:
        """The next process in turn; a new one in the place of one that has ended."""
        place = self._deliveries % len(self._apps)
        self._deliveries += 1
        if self._apps[place].process.ended:
            self._apps[place] = self._new_app()
        return self._apps[place]

    # -- people and clients -------------------------------------------------------------------------------------------

    async def _client(self) -> None:
        """Ask for the run, again under the same key until it is there."""
        await self._until_done(lambda app: app.start(self._request, KEY))

    async def _person(self, after: float) -> None:
        await asyncio.sleep(after)
        await self._until_done(lambda app: app.cancel(self._task_id))

    async def _until_done(self, ask: Any) -> None:
        while True:
            app = self._app()
            try:
                await app.process.run(ask(app))
            except (RetryableError, ProcessEnded):
                await asyncio.sleep(2)
            except (Conflict, NotFound):
                return
            else:
                return

    # -- the host's work ----------------------------------------------------------------------------------------------

    async def _activity(self, name: str, given: Any) -> Any:
        fault = self._injector.next("activity")
        app = self._app()
        owner = f"{app.process.name}/{self._deliveries}"
        if fault is not None and fault.kind is Kind.SLOW:
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.kind is Kind.DIES_BEFORE:
            raise ProcessEnded(name)
        try:
            result = await app.process.run(app.activity(name, given, owner), owner)
        except ProcessEnded:
            raise
        except Exception as error:
            return error
        if fault is not None and fault.kind is Kind.DIES_AFTER:
            raise ProcessEnded(name)
        return result

    async def _pump(self, queue: str) -> None:
        while True:
            delivery = await self._outside.namespace.receive(queue)
            fault = self._injector.next("delivery")
            kind = fault.kind if fault is not None else None
            if fault is not None and kind is Kind.SLOW:
                await asyncio.sleep(min(fault.seconds, self._plan.lock_seconds / 2))
            if kind is Kind.DIES_BEFORE:
                continue
            keep(asyncio.create_task(self._deliver(queue, delivery, kind)))
            if kind is Kind.TWICE:
                keep(asyncio.create_task(self._deliver(queue, delivery, Kind.UNSETTLED)))

    async def _deliver(self, queue: str, delivery: Delivery, fault: Kind | None) -> None:
        app = self._app()
        owner = f"{app.process.name}/{self._deliveries}"
        self._notebook.note(Delivered, queue, str(delivery.message.message_id), owner)
        if self._parts.settles_first:
            await self._settle(queue, delivery, succeeded=True)
        renewing = None if fault is Kind.UNLOCKED else asyncio.create_task(self._renew(queue, delivery))
        try:
            await app.process.run(app.consume(queue, delivery, owner), owner)
        except ProcessEnded:
            return
        except Exception:
            succeeded = False
        else:
            succeeded = True
        finally:
            if renewing is not None:
                renewing.cancel()
        if fault is Kind.DIES_AFTER:
            app.process.die()
        elif fault is not Kind.UNSETTLED and not self._parts.settles_first:
            await self._settle(queue, delivery, succeeded=succeeded)

    async def _renew(self, queue: str, delivery: Delivery) -> None:
        assert delivery.lock_token is not None
        while True:
            await asyncio.sleep(self._plan.lock_seconds / 2)
            try:
                await self._outside.namespace.broker.renew_lock(queue, [delivery.lock_token])
            except BrokerError:
                return

    async def _settle(self, queue: str, delivery: Delivery, *, succeeded: bool) -> None:
        """Complete or give back; a message whose lock was lost is left to whoever has it now."""
        broker = self._outside.namespace.broker
        assert delivery.lock_token is not None
        try:
            await (broker.complete if succeeded else broker.abandon)(queue, delivery.lock_token)
        except BrokerError:
            return
        if succeeded:
            self._notebook.note(Completed, queue, str(delivery.message.message_id))


_KEPT: set[asyncio.Task[None]] = set()


def keep(task: asyncio.Task[None]) -> None:
    """Hold on to a task until it is done."""
    _KEPT.add(task)
    task.add_done_callback(_KEPT.discard)


def asked_of(plan: FaultPlan) -> PatternRequest:
    """What the run of a plan is asked."""
    return request_for(plan.pattern, random.Random(f"what {plan.pattern} is asked {plan.seed}"))
