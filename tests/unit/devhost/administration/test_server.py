"""The administration server's door: both protocols on one port, and whatever else arrives there."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest

from devhost.administration.server import AdministrationServer, parse_path
from devhost.broker.broker import Broker
from devhost.broker.topology import QueueOptions, Topology
from devhost.clock import ManualClock

ENTRY = (
    '<entry xmlns="http://www.w3.org/2005/Atom"><content type="application/xml">'
    '<QueueDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect">{}</QueueDescription>'
    "</content></entry>"
)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[AdministrationServer]:
    clock = ManualClock()
    broker = await Broker.open(tmp_path / "broker.db", Topology((QueueOptions("q"),)), clock)
    made = AdministrationServer(broker, clock, port=0, state_dir=tmp_path)
    await made.start()
    yield made
    await made.stop()
    await broker.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def put(server: AdministrationServer, session: aiohttp.ClientSession, path: str, body: bytes) -> tuple[int, str]:
    async with session.put(f"http://127.0.0.1:{server.port}/{path}", data=body) as answer:
        return answer.status, await answer.text()


async def test_http_and_https_are_served_on_one_port(
    server: AdministrationServer, session: aiohttp.ClientSession
) -> None:
    trust = ssl.create_default_context(cafile=str(server.certificate))
    async with session.get(f"http://127.0.0.1:{server.port}/q") as plain:
        assert (plain.status, "QueueDescription" in await plain.text()) == (200, True)
    async with session.get(f"https://localhost:{server.port}/q", ssl=trust) as encrypted:
        assert encrypted.status == 200


async def test_the_certificate_is_kept_so_that_it_has_to_be_trusted_once(
    server: AdministrationServer, tmp_path: Path
) -> None:
    first = server.certificate.read_bytes()
    assert server.certificate.parent == tmp_path
    assert (tmp_path / "administration-key.pem").stat().st_mode & 0o077 == 0
    await server.stop()
    await server.start()
    assert server.certificate.read_bytes() == first


async def test_connections_that_say_nothing_or_nonsense_do_not_keep_others_from_being_served(
    server: AdministrationServer, session: aiohttp.ClientSession
) -> None:
    silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(50)]
    _, nonsense = await asyncio.open_connection("127.0.0.1", server.port)
    nonsense.write(b"\x16\x03\x01garbage" * 10)
    async with session.get(f"http://127.0.0.1:{server.port}/q") as answer:
        assert answer.status == 200
    for _, writer in silent:
        writer.close()
    nonsense.close()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not XML"),
        (b"\xff\xfe<", "not XML"),
        (b"{}", "not XML"),
        (b"<entry/>", "Atom entry"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><entry>&a;</entry>", "document type"),
        (ENTRY.format("<LockDuration>soon</LockDuration>").encode(), "soon"),
        (ENTRY.format("<MaxDeliveryCount>many</MaxDeliveryCount>").encode(), "many"),
        (ENTRY.format("<RequiresSession>perhaps</RequiresSession>").encode(), "perhaps"),
        (ENTRY.format("<Status>Asleep</Status>").encode(), "Asleep"),
        (ENTRY.format("<ForwardTo>elsewhere</ForwardTo>").encode(), "ForwardTo"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value,
)
async def test_a_body_that_is_no_good_is_refused_with_what_is_wrong(
    server: AdministrationServer, session: aiohttp.ClientSession, body: bytes, says: str
) -> None:
    status, text = await put(server, session, "new", body)
    assert status == 400
    assert says in text
    async with session.get(f"http://127.0.0.1:{server.port}/new") as answer:
        assert answer.status == 404


async def test_a_name_with_slashes_is_one_name(server: AdministrationServer, session: aiohttp.ClientSession) -> None:
    status, text = await put(server, session, "a%2Fb", ENTRY.format("").encode())
    assert (status, "<title" in text or ":title" in text) == (201, True)
    async with session.get(f"http://127.0.0.1:{server.port}/a/b") as answer:
        assert answer.status == 200


async def test_a_body_over_a_megabyte_is_refused(server: AdministrationServer, session: aiohttp.ClientSession) -> None:
    async with session.put(f"http://127.0.0.1:{server.port}/new", data=BytesIO(b"x" * 2_000_000)) as answer:
        assert answer.status == 413


async def test_a_method_that_means_nothing_is_not_allowed(
    server: AdministrationServer, session: aiohttp.ClientSession
) -> None:
    async with session.post(f"http://127.0.0.1:{server.port}/q", data=b"") as answer:
        assert answer.status == 405


async def test_a_stopped_server_leaves_the_port_free(server: AdministrationServer) -> None:
    port = server.port
    await server.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize(
    ("path", "kind", "names"),
    [
        ("/q", "entity", ["q"]),
        ("/a/b/c", "entity", ["a/b/c"]),
        ("/$Resources/queues", "queues", []),
        ("/$resources/Topics", "topics", []),
        ("/$namespaceinfo", "namespace", []),
        ("/t/subscriptions", "subscriptions", ["t"]),
        ("/t/Subscriptions/s", "subscription", ["t", "s"]),
        ("/a/b/subscriptions/s/rules", "rules", ["a/b", "s"]),
        ("/t/subscriptions/s/rules/%24Default", "rule", ["t", "s", "$Default"]),
        ("/subscriptions", "entity", ["subscriptions"]),
    ],
)
def test_a_path_names_a_resource(path: str, kind: str, names: list[str]) -> None:
    assert parse_path(path) == (kind, names)
