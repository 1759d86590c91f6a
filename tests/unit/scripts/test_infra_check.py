"""`make infra-check` finds nothing in the templates as they are, and each planted mistake where it was planted."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from scripts.infra_check.__main__ import findings
from scripts.infra_check.finding import Finding
from scripts.infra_check.infra import Infra

ROOT = Path(__file__).parents[3]
INFRA = ROOT / "infra"


class Mistake(NamedTuple):
    """`right` is replaced by `wrong` in `file`; the finding says `message`, at `at` (a text of the changed file).

    `found_in` is the file that the finding names, where it is another one.
    """

    file: str
    right: str
    wrong: str
    message: str
    at: str = ""
    found_in: str = ""


MISTAKES = {
    "a key left enabled on Service Bus": Mistake(
        "core/servicebus.bicep", "disableLocalAuth: true", "disableLocalAuth: false", "disableLocalAuth must be true"
    ),
    "shared keys left enabled on storage": Mistake(
        "core/storage.bicep",
        "    allowSharedKeyAccess: false\n",
        "",
        "allowSharedKeyAccess must be false",
        "resource account",
    ),
    "a missing role": Mistake(
        "app/roles.bicep",
        "role.serviceBusDataOwner)\n  }",
        "role.storageBlobDataOwner)\n  }",
        "is not given serviceBusDataOwner on Microsoft.ServiceBus/namespaces",
        "// What the app",
    ),
    "a role on the wrong resource": Mistake(
        "app/roles.bicep",
        "scope: insights\n",
        "scope: storage\n",
        "the app needs no role monitoringMetricsPublisher on Microsoft.Storage/storageAccounts",
        "roleDefinitions', role.monitoringMetricsPublisher)",
    ),
    "a role id with a slip of the pen": Mistake(
        "app/roles.bicep", "090c5cfd-751d", "090c5cfd-751e", "the id of serviceBusDataOwner is 090c5cfd-751d"
    ),
    "a misspelt module output": Mistake(
        "main.bicep", "serviceBus.outputs.hostName", "serviceBus.outputs.hostname", "has no output hostname"
    ),
    "a module that is not there": Mistake(
        "main.bicep", "'core/monitoring.bicep'", "'core/monitor.bicep'", "there is no template core/monitor.bicep"
    ),
    "a parameter that the module does not have": Mistake(
        "main.bicep", "capacity: modelCapacity", "tokens: modelCapacity", "has no parameter tokens"
    ),
    "a parameter that is asked for and not given": Mistake(
        "main.bicep",
        "    alwaysReadyHttp: alwaysReadyHttp\n",
        "",
        "asks for the parameter alwaysReadyHttp",
        "module app ",
    ),
    "a name that nothing declares": Mistake(
        "core/functionapp.bicep", "serverFarmId: plan.id", "serverFarmId: plans.id", "plans is neither declared"
    ),
    "an API version that does not exist": Mistake(
        "core/functionapp.bicep", "sites@2025-03-01", "sites@2025-13-01", "has no version 2025-13-01"
    ),
    "an unknown setting": Mistake(
        "app/settings.bicep", "MUSTER_MODEL_NAME:", "MUSTER_MODELNAME:", "nothing reads the setting MUSTER_MODELNAME"
    ),
    "a setting that nothing sets": Mistake(
        "app/settings.bicep",
        "  AZURE_CLIENT_ID: clientId\n",
        "",
        "the app reads AZURE_CLIENT_ID, and nothing sets it",
        "// The application settings",
    ),
    "a setting that Flex Consumption refuses": Mistake(
        "app/settings.bicep",
        "  AZURE_CLIENT_ID: clientId\n",
        "  AZURE_CLIENT_ID: clientId\n  FUNCTIONS_WORKER_RUNTIME: 'python'\n",
        "FUNCTIONS_WORKER_RUNTIME is not to be set",
        "FUNCTIONS_WORKER_RUNTIME",
    ),
    "a stale topology": Mistake(
        "servicebus.json", '"name": "writer-tasks"', '"name": "author-tasks"', "run `make topology`", "author-tasks"
    ),
    "a name that can be too long": Mistake(
        "main.bicep", "'kv-${token}'", "'kv-${environmentName}-${token}'", "can have 81 characters, and may have 24"
    ),
    "a secret that deployments would record": Mistake(
        "core/vault.bicep", "@secure()\n", "", "param modelApiKey holds a secret", "param modelApiKey"
    ),
    "HTTP concurrency left at 1": Mistake(
        "core/functionapp.bicep",
        "perInstanceConcurrency: 16",
        "perInstanceConcurrency: 1",
        "perInstanceConcurrency must be 16",
    ),
    "a parameter value written out": Mistake(
        "main.parameters.json", "${AZURE_LOCATION}", "westeurope", "should come from a variable"
    ),
    "a file that is read and not there": Mistake(
        "core/gateway.bicep", "gateway-policy.xml", "policy.xml", "there is no file policy.xml"
    ),
    "a query that is saved nowhere": Mistake(
        "app/queries.bicep",
        "  { name: 'models', title: 'Calls of models', text: loadTextContent('queries/models.kql') }\n",
        "",
        "app/queries.bicep does not save this query",
        "// Calls of models",
        found_in="app/queries/models.kql",
    ),
    "a query of the workbook that is none of the files": Mistake(
        "app/workbook.json",
        '\\"muster.calls_repeated\\"',
        '\\"muster.calls\\"',
        "the query of repeated-calls is none of the files",
        '\\"muster.calls\\"',
    ),
    "a query that the workbook has not followed": Mistake(
        "app/queries/models.kql",
        "Failed = sumif",
        "Failing = sumif",
        "the query of models is none of the files",
        "Failed = sumif(ItemCount, isnotempty(Why))",
        found_in="app/workbook.json",
    ),
    "a stale workbook": Mistake(
        "app/workbook.json", '"Calls of models"', '"Models"', "run `make workbook`", '"Models"'
    ),
    "a workbook's query with a place for nothing": Mistake(
        "app/workbook.json", '"name": "Run"', '"name": "Task"', "asks for Run, which is no parameter", "{Run}"
    ),
    "a workbook that is no JSON": Mistake(
        "app/workbook.json", '"items": [', '"items": ', "cannot be read: JSONDecodeError", "{"
    ),
    "an item of the workbook that says too little": Mistake(
        "app/workbook.json",
        '"customWidth": "50",\n      "name": "cost"',
        '"customWidth": "50"',
        "cannot be read: KeyError",
        "{",
    ),
    "alerts that a new workspace would refuse": Mistake(
        "app/alerts.bicep",
        "      skipQueryValidation: true\n",
        "",
        "logAlerts: properties.skipQueryValidation must be true, and is not there",
        "resource logAlerts",
    ),
    "an alert whose query is written out": Mistake(
        "app/alerts.bicep",
        "query: loadTextContent('queries/stuck-runs.kql')",
        "query: 'AppMetrics | where false'",
        "this query is written out",
    ),
    "an alert whose query is not there": Mistake(
        "app/alerts.bicep",
        "queries/failure-rate.kql",
        "queries/failures-rate.kql",
        "there is no file queries/failures-rate",
    ),
    "a threshold that is not handed on": Mistake(
        "main.bicep", "    costPerHour: alertCostPerHour\n", "", "asks for the parameter costPerHour", "module alerts "
    ),
}


def check(folder: Path) -> list[Finding]:
    return findings(Infra(folder))


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(INFRA, tmp_path / "infra"))


def test_the_templates_have_no_findings() -> None:
    assert [str(each) for each in check(INFRA)] == []


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_planted_mistake_is_found_at_its_file_and_line(mistake: Mistake, copied: Path) -> None:
    path = copied / mistake.file
    before = path.read_text()
    assert mistake.right in before
    after = before.replace(mistake.right, mistake.wrong, 1)
    path.write_text(after)

    found = [each for each in check(copied) if mistake.message in each.message]

    place = mistake.at or mistake.wrong.strip().splitlines()[0]
    told = mistake.found_in or mistake.file
    lines = (copied / told).read_text().splitlines()
    line = next(number for number, text in enumerate(lines, start=1) if place in text)
    assert [(str(each.file), each.line) for each in found] == [(told, line)]


def test_what_is_no_bicep_is_told_alone(copied: Path) -> None:
    path = copied / "core/identity.bicep"
    path.write_text(path.read_text().replace("  tags: tags\n}", "  tags: tags\n", 1))
    found = check(copied)
    assert found
    assert {str(each.file) for each in found} == {"core/identity.bicep"}


def test_the_command_prints_file_and_line_and_fails(copied: Path) -> None:
    main = copied / "main.bicep"
    main.write_text(main.read_text().replace("serviceBus.outputs.id", "serviceBus.outputs.ident", 1))
    done = subprocess.run(
        [sys.executable, "-m", "scripts.infra_check", str(copied)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"{main}:" in done.stdout


def test_a_folder_without_templates_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.infra_check", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "main.bicep" in done.stderr
