"""The folder that is checked: its templates, and the documents that they read."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scripts.infra_check.bicep import Template, read_template


@dataclass(frozen=True)
class Infra:
    """`folder` holds `main.bicep`; templates are known by their path in it."""

    folder: Path

    @cached_property
    def templates(self) -> dict[Path, Template]:
        """Every template, sorted by path."""
        paths = sorted(path.relative_to(self.folder) for path in self.folder.rglob("*.bicep"))
        return {path: read_template(self.folder, path) for path in paths}

    def module(self, template: Template, target: str) -> Template | None:
        """The template that a module declaration in `template` names by its path; None when there is none."""
        path = (self.folder / template.path.parent / target).resolve()
        inside = path.is_relative_to(self.folder.resolve())
        return self.templates.get(path.relative_to(self.folder.resolve())) if inside else None

    def document(self, name: str) -> Any:
        """The JSON document of this name."""
        return json.loads((self.folder / name).read_text())

    def line_of(self, name: str, needle: str) -> int:
        """The line of a file on which something first stands; 1 when it stands nowhere."""
        lines = (self.folder / name).read_text().splitlines()
        return next((number for number, line in enumerate(lines, start=1) if needle in line), 1)
