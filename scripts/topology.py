"""`make topology`: writes infra/servicebus.json from the agent catalog."""

import json
from pathlib import Path

from agents.catalog import CATALOG
from agents.topology import service_bus_topology

TOPOLOGY_FILE = Path(__file__).parent.parent / "infra" / "servicebus.json"


def rendered() -> str:
    """The file's text as it should be."""
    return json.dumps(service_bus_topology(CATALOG), indent=2) + "\n"


if __name__ == "__main__":
    TOPOLOGY_FILE.parent.mkdir(exist_ok=True)
    TOPOLOGY_FILE.write_text(rendered())
    print(f"wrote {TOPOLOGY_FILE.relative_to(Path.cwd())}")
