"""What the person who starts the host chooses."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from devhost.http.server import DEFAULT_MAX_REQUEST_BYTES


@dataclass(frozen=True, slots=True)
class HostOptions:
    """The command line, read. Paths are absolute.

    Without a `state_dir` it is `.devhost` in the app's folder; `topology_file` names the Service Bus entities, and
    `amqp_port` the port to serve them on in place of the one in the app's settings. Port 0 is any free one. `drain` is
    how long running calls may take to finish once the host is told to stop. `sticky` keeps orchestrators alive between
    their turns instead of replaying them. `otlp_endpoint` is the OTLP receiver that the host's spans go to, in place of
    the one that the environment names; without `host_spans` there are none.
    """

    app_dir: Path
    host: str = "127.0.0.1"
    port: int = 7071
    state_dir: Path | None = None
    max_request_bytes: int = DEFAULT_MAX_REQUEST_BYTES
    offline_model_delay: timedelta = timedelta(0)
    drain: timedelta = timedelta(seconds=30)
    topology_file: Path | None = None
    amqp_port: int | None = None
    ready_file: Path | None = None
    verbose: bool = False
    sticky: bool = False
    otlp_endpoint: str | None = None
    host_spans: bool = True
