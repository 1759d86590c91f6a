"""The offline model on a port of its own, and the stock client to ask it with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from aiohttp import web
from openai import AsyncOpenAI

from devhost.clock import ManualClock
from devhost.offline_model.api import OfflineModelApi


@asynccontextmanager
async def serving(clock: ManualClock, delay: timedelta = timedelta(0)) -> AsyncIterator[str]:
    """Its base URL."""
    app = web.Application()
    app.add_routes(list(OfflineModelApi(clock, delay).routes()))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def client(clock: ManualClock | None = None, delay: timedelta = timedelta(0)) -> AsyncIterator[AsyncOpenAI]:
    """A client that asks once."""
    async with serving(clock or ManualClock(), delay) as url:
        openai = AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
        try:
            yield openai
        finally:
            await openai.close()
