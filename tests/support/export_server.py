"""A real HTTP server on loopback, in a thread, that telemetry is exported to by this process and by others alike."""

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What an export is answered."""

    status: int = 200
    content_type: str = "application/x-protobuf"
    body: bytes = b""


type Take = Callable[[str, bytes], Answer]
"""Takes the path and the unzipped body of an export. Called in threads, several at once."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    take: Take

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self._answer(self.take(self.path, body))

    def do_GET(self) -> None:
        self._answer(Answer(404))

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: Any) -> None:
        """Say nothing: the tests look at what came."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """An exporter that was told to stop has hung up."""


@contextmanager
def export_server(take: Take) -> Iterator[str]:
    """The address of a running server on a free port, which gives every export to `take`."""
    server = _Server(("127.0.0.1", 0), type("_BoundHandler", (_Handler,), {"take": staticmethod(take)}))
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
