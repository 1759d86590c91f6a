"""What `azd` is given for the parameters of `main.bicep`."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from scripts.infra_check.finding import Finding
from scripts.infra_check.infra import Infra

MAIN, FILE = Path("main.bicep"), Path("main.parameters.json")
_VARIABLE = re.compile(r"\$\{[A-Z][A-Z0-9_]*(=[^}]*)?\}")


def parameters(infra: Infra) -> Iterator[Finding]:
    """`main.parameters.json` names parameters that exist, all of those without a default, each by a variable."""
    try:
        given = infra.document(str(FILE))["parameters"]
    except (OSError, json.JSONDecodeError, KeyError) as error:
        yield Finding(FILE, 1, f"cannot be read: {error}")
        return
    asked = infra.templates[MAIN].of_kind("param")
    for name, entry in given.items():
        line = infra.line_of(str(FILE), f'"{name}"')
        if name not in asked:
            yield Finding(FILE, line, f"{MAIN} has no parameter {name}")
        if not _VARIABLE.fullmatch(str(entry.get("value"))):
            yield Finding(FILE, line, f"{name} is {entry.get('value')!r}, and should come from a variable: ${{NAME}}")
    for name, parameter in asked.items():
        if not parameter.is_optional and name not in given:
            yield Finding(FILE, 1, f"{MAIN} asks for {name}")
