"""Service Bus triggers end to end: a foreign app under a real host, the stock client, the real broker and listener."""

import asyncio
import contextlib
import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from devhost.amqp.listener import AmqpListener
from devhost.broker.broker import Broker
from devhost.broker.topology_file import load_topology
from devhost.clock import SystemClock
from tests.support.eventually import eventually
from tests.support.host_process import HostProcess, HostStartError

APP = Path(__file__).parent / "apps" / "bus_app"
BUS = "Endpoint=sb://localhost{port};SharedAccessKeyName=k;SharedAccessKey=s3cret;UseDevelopmentEmulator=true"


class BusHost:
    """The app under a host of its own, what its functions wrote, and a client to its namespace."""

    def __init__(self, folder: Path, *arguments: str, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.app = folder / "app"
        if not self.app.exists():
            shutil.copytree(APP, self.app, ignore=shutil.ignore_patterns("__pycache__"))
        self.hold = folder / "hold"
        self._seen = folder / "seen.jsonl"
        env = {"SEEN": str(self._seen), "HOLD": str(self.hold), "PLAIN": "plain", "Bus": BUS.format(port="")}
        chosen = arguments or ("--amqp-port", "0")
        self.process = HostProcess(
            self.app, state_dir=folder / "state", env={**env, **(settings or {})}, arguments=chosen
        )

    def seen(self, function: str, **fields: Any) -> list[dict[str, Any]]:
        """The lines `function` wrote with these values, oldest first."""
        lines = self._seen.read_text(encoding="utf-8").splitlines() if self._seen.exists() else []
        entries = [json.loads(line) for line in lines]
        wanted = {"function": function, **fields}
        return [entry for entry in entries if wanted.items() <= entry.items()]

    @property
    def connection_string(self) -> str:
        """How a client reaches the namespace the host serves."""
        return BUS.format(port=f":{self.process.ready['amqp_port']}")

    async def send(self, entity: str, *messages: ServiceBusMessage | str) -> None:
        """Send to a queue or topic."""
        await send(self.connection_string, entity, *messages)

    async def left(self, queue: str) -> int:
        """How many messages the queue still holds."""
        async with (
            ServiceBusClient.from_connection_string(self.connection_string) as client,
            client.get_queue_receiver(queue) as receiver,
        ):
            return len(await receiver.peek_messages(max_message_count=100))


async def send(connection_string: str, entity: str, *messages: ServiceBusMessage | str) -> None:
    async with (
        ServiceBusClient.from_connection_string(connection_string) as client,
        client.get_queue_sender(entity) as sender,
    ):
        await sender.send_messages([each if isinstance(each, ServiceBusMessage) else text(each) for each in messages])


def text(body: str, **fields: Any) -> ServiceBusMessage:
    return ServiceBusMessage(body, **fields)


@asynccontextmanager
async def running(host: BusHost) -> AsyncIterator[BusHost]:
    async with host.process:
        yield host


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BusHost]:
    async with running(BusHost(tmp_path_factory.mktemp("bus"))) as started:
        yield started


async def test_a_message_whose_function_returns_is_completed_and_decodes_fully(host: BusHost) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    message = ServiceBusMessage(
        '{"topic": "Ωmega"}',
        message_id="m-1",
        subject="started",
        correlation_id="c-1",
        content_type="application/json",
        reply_to="answers",
        application_properties={"kind": "x", "tries": 2, "done": False, "traceparent": trace},
    )
    await host.send("plain", message)
    (seen,) = await eventually(lambda: host.seen("plain", id="m-1"))
    assert seen["body"] == '{"topic": "Ωmega"}'
    assert (seen["delivery"], seen["subject"], seen["correlation"]) == (1, "started", "c-1")
    assert (seen["content_type"], seen["reply_to"]) == ("application/json", "answers")
    assert seen["properties"] == {"kind": "x", "tries": 2, "done": False, "traceparent": trace}
    assert seen["sequence_number"] >= 1
    assert len(seen["lock_token"]) == 36

    async def gone() -> bool:
        return await host.left("plain") == 0

    await eventually(gone)
    assert "message 1 of plain, delivery 1" in host.process.log


async def test_a_failing_message_comes_back_at_once_until_it_reaches_the_function_behind_the_dead_letter_queue(
    host: BusHost,
) -> None:
    await host.send("failing", text("bad", message_id="f-1"))
    (buried,) = await eventually(lambda: host.seen("buried", id="f-1"))
    deliveries = host.seen("failing", id="f-1")
    assert [entry["delivery"] for entry in deliveries] == [1, 2, 3]
    assert deliveries[-1]["at"] - deliveries[0]["at"] < 5
    assert buried["properties"]["DeadLetterReason"] == "MaxDeliveryCountExceeded"
    assert "ValueError: never works" in host.process.log


async def test_no_more_calls_run_at_once_than_host_json_allows(host: BusHost) -> None:
    await host.send("narrow", *(f"n-{n}" for n in range(16)))
    await eventually(lambda: len(host.seen("narrow", step="end")) == 16)
    running_now = most = 0
    for entry in host.seen("narrow"):
        running_now += 1 if entry["step"] == "begin" else -1
        most = max(most, running_now)
    assert most == 4
    assert len(host.seen("narrow", step="begin")) == 16


async def test_a_call_longer_than_the_lock_keeps_its_message(host: BusHost) -> None:
    await host.send("slow", text("6", message_id="s-1"))
    await eventually(lambda: host.seen("slow", id="s-1", step="end"), within=15)
    assert len(host.seen("slow", id="s-1", step="begin")) == 1

    async def gone() -> bool:
        return await host.left("slow") == 0

    await eventually(gone)


async def test_a_subscription_gets_what_its_rule_lets_through(host: BusHost) -> None:
    await host.send("events", text("ignored", subject="other"), text("wanted", subject="audited", message_id="e-1"))
    await eventually(lambda: host.seen("audit", id="e-1"))
    assert [entry["body"] for entry in host.seen("audit")] == ["wanted"]


async def test_the_dead_letter_queue_of_a_subscription_is_an_entity_of_its_own(host: BusHost) -> None:
    await host.send("events", text("refused", subject="audited", message_id="e-2"))
    await eventually(lambda: host.seen("unaudited", id="e-2"))
    assert len(host.seen("audit", id="e-2")) == 1


async def test_each_session_is_served_in_order_whatever_the_order_among_sessions(host: BusHost) -> None:
    messages = [text(f"{n}", session_id=session) for n in range(5) for session in "ABC"]
    await host.send("ordered", *messages)
    await eventually(lambda: len(host.seen("ordered")) == 15, within=20)
    for session in "ABC":
        assert [entry["body"] for entry in host.seen("ordered", session=session)] == list("01234")
    await host.send("ordered", text("again", session_id="A"))
    await eventually(lambda: host.seen("ordered", body="again"))


async def test_a_batch_function_gets_each_message_once_and_never_more_than_allowed_together(host: BusHost) -> None:
    await host.send("batched", *(f"b-{n}" for n in range(25)))
    await eventually(lambda: len(host.seen("batched")) == 25)
    assert Counter(entry["body"] for entry in host.seen("batched")) == Counter(f"b-{n}" for n in range(25))
    sizes = {entry["size"] for entry in host.seen("batched")}
    assert max(sizes) == 10

    async def gone() -> bool:
        return await host.left("batched") == 0

    await eventually(gone)


async def test_a_body_that_is_not_text_is_reported_and_does_no_harm(host: BusHost) -> None:
    await host.send("plain", ServiceBusMessage(b"\xff\xfe", message_id="raw"))
    await eventually(lambda: host.seen("plain", id="raw"))
    assert "not UTF-8 text" in host.process.log


async def test_messages_that_wait_when_the_host_is_killed_are_delivered_after_a_restart(tmp_path: Path) -> None:
    host = BusHost(tmp_path)
    host.hold.touch()
    bodies = [f"k-{n}" for n in range(20)]
    await host.process.start()
    await host.send("kept", *bodies)
    await eventually(lambda: len(host.seen("kept", step="begin")) == 4)
    host.process.kill()
    host.hold.unlink()
    async with running(BusHost(tmp_path)) as restarted:
        await eventually(lambda: len(restarted.seen("kept", step="end")) == 20, within=20)
        assert {entry["body"] for entry in restarted.seen("kept", step="end")} == set(bodies)
        interrupted = {entry["body"] for entry in restarted.seen("kept", step="begin")[:4]}
        again = {entry["body"] for entry in restarted.seen("kept", step="end") if entry["delivery"] == 2}
        assert again == interrupted
        assert "messages were waiting from before" in restarted.process.log


async def test_an_interrupted_host_lets_running_calls_finish_and_completes_them(tmp_path: Path) -> None:
    host = BusHost(tmp_path)
    await host.process.start()
    await host.send("slow", text("1.5", message_id="d-1"))
    await eventually(lambda: host.seen("slow", step="begin"))
    host.process.interrupt()
    assert await host.process.wait() == 0
    assert len(host.seen("slow", id="d-1", step="end")) == 1
    async with running(BusHost(tmp_path)) as restarted:
        assert await restarted.left("slow") == 0


async def test_an_entity_the_topology_file_lacks_is_named_with_its_function_and_the_others_are_served(
    tmp_path: Path,
) -> None:
    host = BusHost(tmp_path)
    path = host.app / "infra" / "servicebus.json"
    topology = json.loads(path.read_text(encoding="utf-8"))
    topology["queues"] = [queue for queue in topology["queues"] if queue["name"] != "batched"]
    path.write_text(json.dumps(topology), encoding="utf-8")
    async with running(host):
        await eventually(lambda: "not receiving: batched from batched" in host.process.log)
        await host.send("plain", "x")
        await eventually(lambda: host.seen("plain"))
        log = host.process.log
    (warning,) = [line for line in log.splitlines() if "DOES NOT CONTAIN" in line]
    assert "'batched'" in warning
    assert str(path) in warning
    assert log.count("not receiving: batched") == 1


async def test_without_a_topology_file_the_entities_are_made_from_the_bindings(tmp_path: Path) -> None:
    host = BusHost(tmp_path, settings={"PLAIN": "by-setting"})
    shutil.rmtree(host.app / "infra")
    async with running(host):
        await host.send("by-setting", "x")
        await host.send("ordered", text("y", session_id="A"))
        await eventually(lambda: host.seen("plain") and host.seen("ordered"))
        assert "made from the app's bindings" in host.process.log


async def test_a_namespace_that_is_already_served_is_used_and_found_again_after_an_absence(tmp_path: Path) -> None:
    clock = SystemClock()
    topology = load_topology(APP / "infra" / "servicebus.json")
    broker = await Broker.open(tmp_path / "elsewhere.db", topology, clock)
    listener = AmqpListener(broker, clock, port=0)
    await listener.start()
    port = listener.port
    bus = BUS.format(port=f":{port}")
    host = BusHost(tmp_path, "--json-logs", settings={"Bus": bus})
    try:
        async with running(host):
            assert f"already listens on port {port}" in host.process.log
            assert not (host.process.state_dir / "servicebus.db").exists()
            await send(bus, "plain", "before")
            await eventually(lambda: host.seen("plain", body="before"))
            await listener.stop()
            await eventually(lambda: "not receiving from the namespace" in host.process.log, within=20)
            listener = AmqpListener(broker, clock, port=port)
            await listener.start()
            await send(bus, "plain", "after")
            await eventually(lambda: host.seen("plain", body="after"), within=60)
            await eventually(lambda: "receiving again from the namespace" in host.process.log, within=30)
    finally:
        await listener.stop()
        await broker.close()
    lines = [json.loads(line) for line in host.process.log.splitlines() if line.startswith("{")]
    said = [line["message"] for line in lines if "receiving" in line["message"] or "azure.servicebus" in line["logger"]]
    assert len(said) == 2, said


async def refusal(host: BusHost) -> str:
    """The log of a host that must not start."""
    with pytest.raises(HostStartError) as refused:
        await host.process.start()
    assert refused.value.status == 1
    return refused.value.log


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("nonsense", "no '='"),
        ("Endpoint=sb://localhost;SharedAccessKey=s3cret", "SharedAccessKeyName"),
        ("", "no setting Bus"),
    ],
)
async def test_a_malformed_or_missing_connection_stops_the_start_and_is_named(
    tmp_path: Path, value: str, complaint: str
) -> None:
    log = await refusal(BusHost(tmp_path, settings={"Bus": value}))
    assert "Bus" in log
    assert complaint in log
    assert "s3cret" not in log
    assert "Traceback" not in log


async def test_a_port_held_by_something_that_is_not_amqp_stops_the_start_with_the_way_out(tmp_path: Path) -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        log = await refusal(BusHost(tmp_path, "--json-logs", settings={"Bus": BUS.format(port=f":{port}")}))
    assert f"port {port} is in use" in log
    assert "Endpoint=sb://localhost:" in log


async def test_wrong_values_in_host_json_stop_the_start_and_are_all_named(tmp_path: Path) -> None:
    host = BusHost(tmp_path)
    section = {"maxConcurrentCalls": 0, "maxAutoLockRenewalDuration": "soon"}
    (host.app / "host.json").write_text(json.dumps({"version": "2.0", "extensions": {"serviceBus": section}}))
    log = await refusal(host)
    assert "extensions.serviceBus.maxConcurrentCalls" in log
    assert "extensions.serviceBus.maxAutoLockRenewalDuration" in log
