"""`make import-run FILE=...`: take an exported run into the state store that the settings name."""

import argparse
import asyncio
import sys
from pathlib import Path

from scripts.local_host import all_configured
from shared.errors import MusterError
from shared.resources import Resources
from shared.settings import Settings
from shared.state.export import read_export, restore_artifacts


async def import_run(file: Path, settings: Settings) -> str:
    """Import the run in `file`, and say what came of it. Raises `MusterError` and `OSError`."""
    export = read_export(file.read_bytes())
    log, resources = export.log, Resources.from_settings(settings)
    try:
        # First what the run refers to: should it fail, there is no run yet that lacks it.
        count = await restore_artifacts(export, resources.artifacts)
        if await resources.store.import_run(log):
            return f"run {log.task_id} is imported, with {len(log.events)} events and {count} artifacts"
        return f"run {log.task_id} is there already, and nothing was changed"
    finally:
        await resources.store.close()
        await resources.artifacts.close()


def main() -> int:
    """Import one file; its exit status."""
    parser = argparse.ArgumentParser(prog="make import-run", description=__doc__)
    parser.add_argument("file", metavar="FILE", type=Path, help="what GET /api/task/{id}/export gave")
    try:
        print(asyncio.run(import_run(parser.parse_args().file, Settings.read(all_configured()))))
    except (MusterError, OSError) as error:
        print(f"not imported: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
