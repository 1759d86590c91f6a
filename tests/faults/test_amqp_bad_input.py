"""What the AMQP listener does with clients that break the protocol: an error or a close, and one log line."""

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from devhost.amqp.listener import AmqpListener
from devhost.broker.broker import Broker
from devhost.broker.topology import Topology
from devhost.clock import ManualClock
from tests.support.amqp_wire import SASL_HEADER, Wire


@pytest_asyncio.fixture
async def listener(tmp_path: Path) -> AsyncIterator[AmqpListener]:
    clock = ManualClock(datetime.now(UTC))
    broker = await Broker.open(tmp_path / "broker.db", Topology(), clock)
    made = AmqpListener(broker, clock, port=0)
    await made.start()
    yield made
    await made.stop()
    await broker.close()


async def test_a_peer_whose_first_bytes_are_not_amqp_is_told_what_is_spoken_and_closed(
    listener: AmqpListener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "devhost.amqp")
    wire = await Wire.connect(listener.port)
    await wire.say(b"GET / HTTP/1.1\r\n\r\n")
    assert await wire.rest() == SASL_HEADER
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert listener.connections == 0
    await wire.close()
