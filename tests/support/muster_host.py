"""The whole system in a process of its own: this app on the local host, with a model that the test provides."""

import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.eventually import eventually
from tests.support.host_process import ROOT, HostProcess

EMULATOR = (
    "Endpoint=sb://localhost:{port};SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;"
    "UseDevelopmentEmulator=true;"
)
OVER = frozenset({"completed", "partial", "failed", "cancelled", "budget_exhausted"})


def free_port() -> int:
    """A TCP port on loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class MusterHost:
    """A host that runs this app over `folder`; start it again on the same folder to see what was kept."""

    def __init__(
        self,
        folder: Path,
        *,
        model_url: str,
        amqp_port: int | None = None,
        arguments: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.connection_string = EMULATOR.format(port=amqp_port or free_port())
        env: Mapping[str, str] = {
            "ServiceBusConnection": self.connection_string,
            "MUSTER_DATA_DIR": str(folder / "data"),
            "MUSTER_MODEL_BASE_URL": model_url,
            "MUSTER_MODEL_NAME": "test-model",
            **(settings or {}),
        }
        self.process = HostProcess(ROOT, state_dir=folder / "host", env=env, arguments=arguments)

    async def get(self, path: str, *, key: str | None = None) -> tuple[int, Any]:
        """Status and JSON body of a GET, with the function key unless told otherwise; an empty one is not sent."""
        chosen = self.process.key() if key is None else key
        headers = {"x-functions-key": chosen} if chosen else {}
        async with aiohttp.ClientSession() as session, session.get(self.process.url + path, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def post(
        self, path: str, body: bytes, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, JSON body and headers of a POST; JSON content and the function key unless told otherwise."""
        sent = {"x-functions-key": self.process.key(), "content-type": "application/json", **(headers or {})}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.process.url + path, data=body, headers=sent) as answer,
        ):
            return answer.status, await answer.json(content_type=None), answer.headers.copy()

    async def delete(self, path: str) -> tuple[int, Any]:
        """Status and JSON body of a DELETE, with the function key."""
        headers = {"x-functions-key": self.process.key()}
        async with (
            aiohttp.ClientSession() as session,
            session.delete(self.process.url + path, headers=headers) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    async def finished(self, task_id: str, *, within: float = 30.0) -> dict[str, Any]:
        """The run, once it is over."""

        async def over() -> dict[str, Any] | None:
            status, task = await self.get(f"/api/task/{task_id}")
            return task if status == 200 and task["status"] in OVER else None

        task = await eventually(over, within=within, every=0.05)
        assert task is not None
        return task


@asynccontextmanager
async def muster_host(
    folder: Path,
    *,
    model_url: str,
    amqp_port: int | None = None,
    arguments: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[MusterHost]:
    """A started `MusterHost`, interrupted at the end. `settings` are added to those that it needs."""
    host = MusterHost(folder, model_url=model_url, amqp_port=amqp_port, arguments=arguments, settings=settings)
    async with host.process:
        yield host
