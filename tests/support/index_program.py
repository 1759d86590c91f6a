"""Lets Microsoft's worker library index the app in a folder, and prints what it found as JSON.

`python -I index_program.py APP WORKER`: the library is taken from WORKER, which comes last on the path, behind whatever
the app's own environment has. It imports nothing of this repository but the messages beside it.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any


async def indexed(app: Path, worker: Path) -> dict[str, Any]:
    """The app's functions by name, each with its bindings, and the modules that came from `worker`."""
    sys.path.append(str(worker))
    import azure_functions_runtime as runtime
    import protos  # type: ignore[import-not-found]

    os.chdir(app)
    sys.path.insert(0, str(app))
    started = await runtime.worker_init_request(
        protos.WorkerRequest(
            request=protos.StreamingMessage(protos.WorkerInitRequest(str(app))),
            properties={"host": "127.0.0.1", "protos": protos},
        )
    )
    if started.result.exception is not None:
        sys.exit(f"{started.result.exception.message}\n{started.result.exception.stack_trace}")
    found = await runtime.functions_metadata_request(None)
    if found.result.exception is not None:
        sys.exit(f"{found.result.exception.message}\n{found.result.exception.stack_trace}")
    files = {name: str(getattr(module, "__file__", None) or "") for name, module in sys.modules.items()}
    return {
        "functions": {
            each.name: [json.loads(binding) for binding in each.raw_bindings]
            for each in found.function_metadata_results or ()
        },
        "from_worker": sorted({name.partition(".")[0] for name, file in files.items() if file.startswith(str(worker))}),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(indexed(Path(sys.argv[1]), Path(sys.argv[2])))))
