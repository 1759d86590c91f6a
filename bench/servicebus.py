"""The local host's Service Bus, as the stock client sees it on loopback: throughput, trigger latency, memory."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path

import aiohttp
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender

from bench.process_usage import memory_mib
from bench.table import print_table
from scripts.local_host import EMULATOR, ROOT, RunningHost, free_port, local_host

APP = ROOT / "bench" / "apps" / "queue_app"
BATCH = 100
PINGS = 300
WAITING = 100_000
# A batch is held to 256 KB in all, as the service does; three messages of 64 KB are what fits into one.
CASES = (("1 KB", 1024, 1000, BATCH), ("64 KB", 64 * 1024, 300, 3))


async def measure() -> None:
    """Print the tables."""
    connection = EMULATOR.format(port=free_port())
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        settings = {"ServiceBusConnection": connection}
        arguments = ["--app", str(APP)]
        async with (
            local_host(log=work / "host.log", state_dir=work / "state", settings=settings, arguments=arguments) as host,
            ServiceBusClient.from_connection_string(connection) as client,
        ):
            await _throughput(client)
            await _latency(client, host)
            await _memory(client, host)


async def _throughput(client: ServiceBusClient) -> None:
    rows = []
    async with (
        client.get_queue_sender("load") as sender,
        client.get_queue_receiver("load", prefetch_count=BATCH) as receiver,
    ):
        for label, size, count, batch in CASES:
            body = b"x" * size
            sent_one = await _timed(count, _send_singly(sender, body, count))
            got_one = await _timed(count, _take(receiver, count, 1))
            sent_many = await _timed(count, _send_batches(sender, body, count, batch))
            got_many = await _timed(count, _take(receiver, count, BATCH))
            rates = [f"{rate:,.0f}" for rate in (sent_one, sent_many, got_one, got_many)]
            rows.append([label, str(batch), *rates])
    headings = ["body", "batch", "sent singly", "sent in batches", "taken singly", f"taken {BATCH} at a time"]
    print_table("Messages a second, one client, each durable or completed when counted", headings, rows)


async def _latency(client: ServiceBusClient, host: RunningHost) -> None:
    async with client.get_queue_sender("ping") as sender, aiohttp.ClientSession(host.url) as session:
        for number in range(PINGS):
            await sender.send_messages(ServiceBusMessage(str(time.time_ns())))
            await _arrived(session, number + 1)
        samples = await _arrived(session, PINGS)
    found = sorted(sample / 1e6 for sample in samples)
    rows = [[f"{statistics.median(found):.1f} ms", f"{found[int(PINGS * 0.99)]:.1f} ms"]]
    print_table(f"From the send call to the triggered function's start, {PINGS} one by one", ["p50", "p99"], rows)


async def _memory(client: ServiceBusClient, host: RunningHost) -> None:
    before = memory_mib(host.pid, "VmRSS")
    async with client.get_queue_sender("load") as sender:
        rate = await _timed(WAITING, _send_batches(sender, b"x" * 1024, WAITING, BATCH))
    rows = [[f"{before:.0f} MiB", f"{memory_mib(host.pid, 'VmRSS'):.0f} MiB", f"{rate:,.0f}"]]
    print_table(f"{WAITING:,} messages of 1 KB waiting in a queue", ["host before", "host then", "sent a second"], rows)


async def _timed(count: int, work: Awaitable[None]) -> float:
    """How many a second, for `count` things that `work` does."""
    start = time.perf_counter()
    await work
    return count / (time.perf_counter() - start)


async def _send_singly(sender: ServiceBusSender, body: bytes, count: int) -> None:
    for _ in range(count):
        await sender.send_messages(ServiceBusMessage(body))


async def _send_batches(sender: ServiceBusSender, body: bytes, count: int, size: int) -> None:
    for _ in range(count // size):
        batch = await sender.create_message_batch()
        for _ in range(size):
            batch.add_message(ServiceBusMessage(body))
        await sender.send_messages(batch)


async def _take(receiver: ServiceBusReceiver, count: int, at_once: int) -> None:
    taken = 0
    while taken < count:
        messages = await receiver.receive_messages(max_message_count=min(at_once, count - taken), max_wait_time=30)
        if not messages:
            raise RuntimeError(f"{count - taken} messages did not come")
        await asyncio.gather(*[receiver.complete_message(message) for message in messages])
        taken += len(messages)


async def _arrived(session: aiohttp.ClientSession, count: int) -> Sequence[int]:
    while True:
        async with session.get("/api/latencies") as answer:
            samples: list[int] = await answer.json()
        if len(samples) >= count:
            return samples
        await asyncio.sleep(0.002)
