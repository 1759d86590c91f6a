import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from devhost.clock import SystemClock
from devhost.errors import StartError
from devhost.servicebus_namespace import STATE_FILE, Listening, ServedNamespace, probe, serve_if_needed
from tests.support.functions import binding, function

type Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def connection(port: int, host: str = "localhost") -> str:
    return f"Endpoint=sb://{host}:{port};SharedAccessKeyName=R;SharedAccessKey=k;UseDevelopmentEmulator=true"


def free_port() -> int:
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        port: int = candidate.getsockname()[1]
        return port


async def serve(folder: Path, *values: str, administration_port: int = 0) -> ServedNamespace | None:
    """Serve for an app with one queue trigger for each of `values`, which are its connection settings."""
    settings = {f"Bus{n}": value for n, value in enumerate(values)}
    functions = [
        function(f"f{n}", binding("serviceBusTrigger", "m", connection=f"Bus{n}", queueName=f"q{n}"))
        for n in range(len(values))
    ]
    return await serve_if_needed(
        functions,
        settings,
        app_dir=folder,
        state_dir=folder,
        clock=SystemClock(),
        administration_port=administration_port,
    )


@asynccontextmanager
async def served(folder: Path, *values: str, administration_port: int = 0) -> AsyncIterator[ServedNamespace]:
    namespace = await serve(folder, *values, administration_port=administration_port)
    assert namespace is not None
    try:
        yield namespace
    finally:
        await namespace.stop()


@asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1]


async def test_an_emulator_nobody_runs_is_served_to_any_client(tmp_path: Path) -> None:
    port = free_port()
    async with served(tmp_path, connection(port)) as namespace:
        assert namespace.amqp_port == port
        async with (
            ServiceBusClient.from_connection_string(connection(port)) as client,
            client.get_queue_sender("q0") as sender,
        ):
            await sender.send_messages(ServiceBusMessage("hello"))
        assert namespace.broker.counts("q0").active == 1
    assert (tmp_path / STATE_FILE).exists()


async def test_what_was_accepted_is_there_when_it_is_served_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()
    async with (
        served(tmp_path, connection(port)),
        ServiceBusClient.from_connection_string(connection(port)) as client,
        client.get_queue_sender("q0") as sender,
    ):
        await sender.send_messages(ServiceBusMessage("hello"))
    async with served(tmp_path, connection(port)) as again:
        assert again.broker.counts("q0").active == 1
    assert "1 messages were waiting from before" in caplog.text


async def test_the_entities_can_be_administered(tmp_path: Path) -> None:
    async with served(tmp_path, connection(free_port())) as namespace:
        url = f"http://127.0.0.1:{namespace.administration_port}/$Resources/queues?api-version=2021-05"
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            assert response.status == 200
            assert ">q0<" in await response.text()


async def test_a_taken_administration_port_is_replaced_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with served(tmp_path, connection(free_port()), administration_port=port) as namespace:
            assert namespace.administration_port != port
            assert f"administration is on port {namespace.administration_port}" in caplog.text


async def test_a_namespace_that_is_already_there_is_left_to_its_owner(tmp_path: Path) -> None:
    port = free_port()
    async with served(tmp_path, connection(port)):
        assert await probe(port) is Listening.AMQP
        other = tmp_path / "other"
        other.mkdir()
        assert await serve(other, connection(port)) is None
        assert not (other / STATE_FILE).exists()


async def test_no_emulator_on_this_machine_means_nothing_is_served(tmp_path: Path) -> None:
    azure = "Endpoint=sb://shop.servicebus.windows.net;SharedAccessKeyName=R;SharedAccessKey=k"
    assert await serve(tmp_path) is None
    assert await serve(tmp_path, azure) is None
    assert await serve(tmp_path, connection(5672, host="emulator.example.org")) is None
    assert not (tmp_path / STATE_FILE).exists()


async def test_several_settings_for_one_emulator_are_one_namespace(tmp_path: Path) -> None:
    port = free_port()
    async with served(tmp_path, connection(port), connection(port, host="127.0.0.1")) as namespace:
        assert [queue.name for queue in namespace.broker.queues()] == ["q0", "q1"]


async def test_emulators_on_different_ports_are_refused_with_both_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"Bus0 .*Bus1 ") as refused:
        await serve(tmp_path, connection(5001), connection(5002))
    assert "5001" in str(refused.value)


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def mail(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example.org ESMTP\r\n")


async def old_amqp(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"AMQP\x00\x00\x09\x01")


async def hang_up(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    return


@pytest.mark.parametrize("talk", [silent, mail, old_amqp, hang_up])
async def test_a_port_held_by_something_else_is_refused_with_the_setting_and_the_way_out(
    tmp_path: Path, talk: Talk
) -> None:
    async with server(talk) as port:
        with pytest.raises(StartError, match=f"port {port} is in use") as refused:
            await serve(tmp_path, connection(port))
    assert "setting Bus0" in str(refused.value)
    assert not (tmp_path / STATE_FILE).exists()


async def test_a_state_file_that_is_not_one_is_refused_and_left_alone(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / STATE_FILE).write_bytes(b"not a database at all, but something a person may want back" * 20)
    before = (tmp_path / STATE_FILE).read_bytes()
    with pytest.raises(StartError, match="cannot be served"):
        await serve(tmp_path, connection(port))
    assert (tmp_path / STATE_FILE).read_bytes() == before
    assert await probe(port) is Listening.NOBODY


async def test_nobody_is_told_from_a_connection_to_oneself() -> None:
    for _ in range(20):
        assert await probe(free_port()) is Listening.NOBODY
