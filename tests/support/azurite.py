"""Microsoft's Blob Storage emulator, started from npm on a free port; nothing is kept."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from azure.storage.blob.aio import BlobServiceClient

from scripts.node_packages import packages_of

PROGRAM = Path(__file__).resolve().parents[2] / "scripts" / "azurite"
START_SECONDS = 30.0
# The account and key that every Azurite has, as its documentation gives them.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_LISTENING = re.compile(rb"listens on http://127\.0\.0\.1:(\d+)")


def connection_string(port: int) -> str:
    """How a client reaches the account."""
    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"


@asynccontextmanager
async def azurite(folder: Path) -> AsyncIterator[str]:
    """A running emulator's connection string. Raises `NodeUnavailable`, and `TimeoutError` when it does not start."""
    packages = await packages_of(PROGRAM)
    main = json.loads((packages / "azurite" / "package.json").read_text())["bin"]["azurite-blob"]
    process = await asyncio.create_subprocess_exec(
        "node",
        str(packages / "azurite" / main),
        *("--inMemoryPersistence", "--blobPort", "0", "--skipApiVersionCheck", "--disableTelemetry", "--silent"),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield connection_string(await asyncio.wait_for(_port(process), START_SECONDS))
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _port(process: asyncio.subprocess.Process) -> int:
    if process.stdout is None:
        raise RuntimeError("the emulator's output was not asked for")
    async for line in process.stdout:
        if found := _LISTENING.search(line):
            return int(found[1])
    raise RuntimeError(f"Azurite ended with {await process.wait()}")


async def make_container(connection: str, name: str) -> None:
    """An empty container, as the templates make it in Azure."""
    async with BlobServiceClient.from_connection_string(connection) as service:
        await service.create_container(name)
