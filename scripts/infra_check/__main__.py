"""Run every check over `infra/`, print each finding as `file:line: message`, and exit with 1 when there is one."""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from scripts.infra_check.bicep import syntax_errors
from scripts.infra_check.finding import Finding
from scripts.infra_check.generated import generated
from scripts.infra_check.infra import Infra
from scripts.infra_check.names import names
from scripts.infra_check.parameters import parameters
from scripts.infra_check.queries import queries
from scripts.infra_check.references import references
from scripts.infra_check.resources import resources
from scripts.infra_check.roles import roles
from scripts.infra_check.settings import settings

CHECKS: tuple[Callable[[Infra], Iterator[Finding]], ...] = (
    references,
    parameters,
    resources,
    roles,
    settings,
    names,
    queries,
    generated,
)


def findings(infra: Infra) -> list[Finding]:
    """Everything that is wrong, sorted by place. What cannot be read is told alone: all else would follow from it."""
    unreadable = [each for template in infra.templates.values() for each in syntax_errors(template)]
    return sorted(unreadable or [each for check in CHECKS for each in check(infra)])


def main(arguments: list[str]) -> int:
    """The command. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.infra_check", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("infra"), help="the folder with main.bicep")
    folder: Path = parser.parse_args(arguments).folder
    if not (folder / "main.bicep").is_file():
        parser.error(f"there is no {folder / 'main.bicep'}")
    infra = Infra(folder)
    found = findings(infra)
    for each in found:
        print(f"{folder / each.file}:{each.line}: {each.message}")
    print(f"{len(infra.templates)} templates, {len(CHECKS)} checks, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
