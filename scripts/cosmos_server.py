"""A server that speaks Cosmos DB's protocol, for tests and for trying the app out: started from npm, nothing is kept.

It is `@vercel/cosmosdb-server`. It charges 1 RU for everything, knows no time to live, and carries a transactional
batch out piece by piece; see `docs/state.md`.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from scripts.local_host import configured
from scripts.node_packages import packages_of

PROGRAM = Path(__file__).parent / "cosmosdb"
CONTAINERS = Path(__file__).parent.parent / "infra" / "cosmos.json"
# The server looks at no key, and the client wants one that is base64.
KEY = "bXVzdGVy"
START_SECONDS = 30.0


def container_definitions() -> Mapping[str, Any]:
    """The database and its containers, as `infra/cosmos.json` defines them."""
    definitions: dict[str, Any] = json.loads(CONTAINERS.read_text(encoding="utf-8"))
    return definitions


async def set_up(endpoint: str, key: str, *, database: str | None = None) -> None:
    """Make the database and its containers in an emulator or account, where they are not there yet."""
    from azure.cosmos import PartitionKey
    from azure.cosmos.aio import CosmosClient

    definitions = container_definitions()
    async with CosmosClient(endpoint, key, enable_endpoint_discovery=False) as client:
        made = await client.create_database_if_not_exists(database or definitions["database"])
        for container in definitions["containers"]:
            await made.create_container_if_not_exists(
                container["name"],
                PartitionKey(container["partitionKey"]),
                indexing_policy=container["indexingPolicy"],
                default_ttl=container["defaultTtl"],
            )


@asynccontextmanager
async def cosmos_server() -> AsyncIterator[str]:
    """A server with the app's containers, ended at the end; its endpoint. Raises `NodeUnavailable`."""
    packages = await packages_of(PROGRAM)
    process = await asyncio.create_subprocess_exec(
        "node",
        str(PROGRAM / "serve.cjs"),
        env={**os.environ, "NODE_PATH": str(packages)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if process.stdout is None:
            raise RuntimeError("the server's output was not asked for")
        line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
        if not line.strip().isdigit():
            raise RuntimeError("the Cosmos DB server did not start")
        endpoint = f"http://127.0.0.1:{int(line)}/"
        await set_up(endpoint, KEY)
        yield endpoint
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def state_settings(state: str | None) -> AsyncIterator[Mapping[str, str]]:
    """The settings that have the app keep its runs in `state`, or where it would anyway when that is None.

    For `cosmos` that is the account that is configured, or else a server as above while this lasts. Raises
    `NodeUnavailable`.
    """
    if state is None:
        yield {}
    elif state != "cosmos" or configured("CosmosConnection") or configured("CosmosConnection__accountEndpoint"):
        yield {"MUSTER_STATE": state}
    else:
        async with cosmos_server() as endpoint:
            yield {"MUSTER_STATE": state, "CosmosConnection": f"AccountEndpoint={endpoint};AccountKey={KEY};"}
