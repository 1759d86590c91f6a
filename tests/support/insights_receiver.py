"""Application Insights' ingestion in memory: what the Azure Monitor exporter sends to it can be looked at.

Source: the `track` operation of the exporter's own client (azure-monitor-opentelemetry-exporter, `_generated`).
"""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class InsightsReceiver:
    """What has come so far: each item as the JSON it came as. `connection_string` is what to configure."""

    connection_string: str = ""
    items: list[dict[str, Any]] = field(default_factory=list)

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """The `baseData` of the items of one kind: `RemoteDependencyData`, `MetricData`, `MessageData`, ..."""
        return [each["data"]["baseData"] for each in list(self.items) if each["data"]["baseType"] == kind]

    def holds(self, text: str) -> bool:
        """Whether `text` is anywhere in what has come."""
        return any(text in json.dumps(each, ensure_ascii=False) for each in list(self.items))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: InsightsReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        items = json.loads(body) if self.path.endswith("/track") else []
        self.receiver.items += items
        answer = json.dumps({"itemsReceived": len(items), "itemsAccepted": len(items), "errors": []}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing: the tests look at what came."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """An exporter that was told to stop has hung up."""


@contextmanager
def insights_receiver() -> Iterator[InsightsReceiver]:
    """A running `InsightsReceiver` on a free port of loopback."""
    receiver = InsightsReceiver()
    server = _Server(("127.0.0.1", 0), type("_BoundHandler", (_Handler,), {"receiver": receiver}))
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    url = f"http://127.0.0.1:{server.server_port}"
    key = "00000000-0000-0000-0000-000000000000"
    receiver.connection_string = f"InstrumentationKey={key};IngestionEndpoint={url}/;LiveEndpoint={url}/"
    serving.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
