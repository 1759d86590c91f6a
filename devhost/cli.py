"""The command line: what can be chosen, and how the process ends."""

import argparse
import asyncio
import logging
import os
import re
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from devhost.clock import SystemClock
from devhost.config import wants_colour
from devhost.errors import StartError
from devhost.host import Host
from devhost.http.server import DEFAULT_MAX_REQUEST_BYTES
from devhost.logs import set_up_logging
from devhost.options import HostOptions
from devhost.worker.indexing import IndexingError

_log = logging.getLogger(__name__)

FAILED: Final = 1
INTERRUPTED: Final = 130


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; wrong ones end the process with status 2 and one line on what is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m devhost",
        description="Run an Azure Functions app (Python, Durable Functions included) on this machine.",
    )
    add = parser.add_argument
    add("--app", type=Path, default=Path(), metavar="PATH", help="the app's folder, with host.json (default: here)")
    add("--port", type=_port, default=7071, help="HTTP port; 0 takes a free one (default: %(default)s)")
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--state-dir", type=Path, metavar="DIR", help="where state is kept (default: .devhost in the app's folder)")
    add(
        "--max-request-bytes",
        type=_positive,
        default=DEFAULT_MAX_REQUEST_BYTES,
        metavar="N",
        help="largest HTTP request body (default: %(default)s)",
    )
    add(
        "--offline-model-delay",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="how long the offline model at /v1 thinks (default: 0)",
    )
    add(
        "--amqp-port",
        type=_port,
        metavar="PORT",
        help="serve Service Bus there, whatever port the app's emulator connection names; 0 takes a free one",
    )
    add(
        "--servicebus-config",
        type=Path,
        metavar="PATH",
        help="queues and topics to serve (default: infra/servicebus.json of the app, else those of its triggers)",
    )
    add("--ready-file", type=Path, metavar="PATH", help="write url, pid and keys folder there as JSON once ready")
    add(
        "--drain-seconds",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="how long running calls may take to finish after Ctrl-C (default: 30)",
    )
    add(
        "--sticky",
        action="store_true",
        help="keep orchestrators alive between their turns; without it each turn is a replay, as in Azure",
    )
    add(
        "--otlp-endpoint",
        type=_base_address,
        metavar="URL",
        help="send the host's spans to this OTLP receiver (default: OTEL_EXPORTER_OTLP_ENDPOINT; without one, nowhere)",
    )
    add("--no-host-spans", action="store_true", help="emit no spans of the host's own, only pass trace contexts on")
    add("--json-logs", action="store_true", help="log one JSON object a line")
    add("--verbose", action="store_true", help="log what libraries and the engine do as well")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the host until a signal ends it; the process's exit status."""
    chosen = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    set_up_logging(json_lines=chosen.json_logs, verbose=chosen.verbose, colour=wants_colour())
    options = HostOptions(
        app_dir=chosen.app.resolve(),
        host=chosen.host,
        port=chosen.port,
        state_dir=_resolved(chosen.state_dir),
        max_request_bytes=chosen.max_request_bytes,
        offline_model_delay=timedelta(seconds=chosen.offline_model_delay),
        amqp_port=chosen.amqp_port,
        drain=timedelta(seconds=chosen.drain_seconds),
        topology_file=_resolved(chosen.servicebus_config),
        ready_file=_resolved(chosen.ready_file),
        verbose=chosen.verbose,
        sticky=chosen.sticky,
        otlp_endpoint=chosen.otlp_endpoint,
        host_spans=not chosen.no_host_spans,
    )
    return asyncio.run(_serve(options))


async def _serve(options: HostOptions) -> int:
    stop = _stop_on_signals()
    host = Host(options, SystemClock())
    starting = asyncio.create_task(host.start())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        starting.cancel()
    try:
        await starting
    except asyncio.CancelledError:
        return 0
    except StartError as reason:
        _log.error("%s", reason)
        return FAILED
    except IndexingError as reason:
        _log.error("the app in %s cannot be run: %s", options.app_dir, reason)
        if reason.traceback:
            _log.error("%s", reason.traceback.rstrip())
        return FAILED
    breaking = asyncio.create_task(host.broken())
    await asyncio.wait({stopping, breaking}, return_when=asyncio.FIRST_COMPLETED)
    status = 0
    if host.failure is not None:
        # Alive it would only look as if it worked: it would refuse everything.
        _log.critical("the host ends, because it can keep nothing any more: %s", host.failure)
        status = FAILED
    if not await host.stop():
        # A function that holds a thread would keep the interpreter from ending.
        _exit_now(status)
    return status


def _exit_now(status: int) -> NoReturn:
    logging.shutdown()
    sys.stdout.flush()
    os._exit(status)


def _stop_on_signals() -> asyncio.Event:
    """An event the first interrupt sets. The second ends the process there and then, whatever the app is doing.

    Handlers of the `signal` module, not of the event loop: they run even while a function blocks the loop.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupted(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(INTERRUPTED)
        stop.set()
        loop.call_soon_threadsafe(lambda: None)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    return stop


def _resolved(path: Path | None) -> Path | None:
    """Absolute, because the host makes the app's folder the current one."""
    return path.resolve() if path else None


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not '{text}'")
    return int(text)


def _base_address(text: str) -> str:
    if re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", text) is None:
        raise argparse.ArgumentTypeError(f"must be an address such as http://localhost:4318, not '{text}'")
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not '{text}'")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"must be seconds from 0 to 3600, not '{text}'")
    return value
