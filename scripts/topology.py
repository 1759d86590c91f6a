"""`make topology`: writes what the agent catalog needs of Service Bus, for Bicep, the local host and the emulator."""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from agents.catalog import CATALOG
from agents.topology import service_bus_topology
from scripts.emulator_config import emulator_config

INFRA = Path(__file__).parent.parent / "infra"
TOPOLOGY_FILE = INFRA / "servicebus.json"
EMULATOR_FILE = INFRA / "emulators" / "servicebus.json"


def rendered() -> str:
    """The text of `infra/servicebus.json` as it should be."""
    return json.dumps(service_bus_topology(CATALOG), indent=2) + "\n"


def rendered_for_emulator() -> str:
    """The text of `infra/emulators/servicebus.json` as it should be."""
    return json.dumps(emulator_config(service_bus_topology(CATALOG)), indent=2) + "\n"


FILES: Mapping[Path, Callable[[], str]] = {TOPOLOGY_FILE: rendered, EMULATOR_FILE: rendered_for_emulator}


if __name__ == "__main__":
    argparse.ArgumentParser(prog="make topology", description=__doc__).parse_args()
    for path, text in FILES.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text())
        print(f"wrote {path.relative_to(Path.cwd())}")
