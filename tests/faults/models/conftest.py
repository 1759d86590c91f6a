"""One host for all of these tests: a process can run one app, and imports it once."""

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from agents.topology import service_bus_topology
from devhost.testing import AppHost
from tests.faults.models.ground import MODEL_TIMEOUT_SECONDS, Ground
from tests.faults.models.troubled import TROUBLED
from tests.support.host_process import ROOT

BUS = (
    "Endpoint=sb://localhost;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;"
    "UseDevelopmentEmulator=true;"
)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AppHost]:
    folder = tmp_path_factory.mktemp("muster")
    app = folder / "app"
    (app / "infra").mkdir(parents=True)
    shutil.copyfile(ROOT / "host.json", app / "host.json")
    shutil.copyfile(Path(__file__).parent / "app" / "function_app.py", app / "function_app.py")
    (app / "infra" / "servicebus.json").write_text(json.dumps(service_bus_topology(TROUBLED)), encoding="utf-8")
    settings = {
        "ServiceBusConnection": BUS,
        "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
        "MUSTER_DATA_DIR": str(folder / "data"),
        "MUSTER_MODEL_TIMEOUT_SECONDS": str(MODEL_TIMEOUT_SECONDS),
    }
    async with AppHost(app, settings=settings, state_dir=folder / "host") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def ground(host: AppHost) -> AsyncIterator[Ground]:
    made = Ground(host)
    yield made
    await made.tidy()
