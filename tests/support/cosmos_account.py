"""Cosmos DB for contract suites: a server from npm that speaks its protocol, or what `--cosmos-endpoint` names."""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio
from azure.cosmos.aio import CosmosClient

from scripts.cosmos_server import KEY, cosmos_server, set_up
from scripts.node_packages import NodeUnavailable
from shared import names
from shared.state.cosmos_container import CosmosConnection


@dataclass(frozen=True)
class Account:
    """Where Cosmos DB is for these tests; without an endpoint, why there is none."""

    endpoint: str = ""
    key: str = ""
    missing: str = ""


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def cosmos_account(request: pytest.FixtureRequest) -> AsyncIterator[Account]:
    """The account that all tests of one process share."""
    given = request.config.getoption("--cosmos-endpoint")
    if given:
        yield Account(given, request.config.getoption("--cosmos-key"))
        return
    try:
        async with cosmos_server() as endpoint:
            yield Account(endpoint, KEY)
    except NodeUnavailable as reason:
        yield Account(missing=str(reason))


@asynccontextmanager
async def fresh_database(account: Account, container: str = names.COSMOS_RUNS) -> AsyncIterator[CosmosConnection]:
    """A container of a database with all of the app's, removed at the end. In CI, to have no server is a failure."""
    if account.missing and os.environ.get("CI"):
        pytest.fail(account.missing, pytrace=False)
    if account.missing:
        pytest.skip(account.missing)
    database = f"test-{uuid.uuid4().hex[:12]}"
    await set_up(account.endpoint, account.key, database=database)
    yield CosmosConnection(account.endpoint, database, container, key=account.key)
    async with CosmosClient(account.endpoint, account.key, enable_endpoint_discovery=False) as client:
        await client.delete_database(database)
