"""Application Insights' ingestion in memory: what the Azure Monitor exporter sends to it can be looked at.

Source: the `track` operation of the exporter's own client (azure-monitor-opentelemetry-exporter, `_generated`).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.export_server import Answer, export_server


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

    def answer(self, path: str, body: bytes) -> Answer:
        """Keep one export, and say that all of it was accepted."""
        items = json.loads(body) if path.endswith("/track") else []
        self.items += items
        accepted = {"itemsReceived": len(items), "itemsAccepted": len(items), "errors": []}
        return Answer(content_type="application/json", body=json.dumps(accepted).encode())


_KEY = "00000000-0000-0000-0000-000000000000"


@contextmanager
def insights_receiver() -> Iterator[InsightsReceiver]:
    """A running `InsightsReceiver` on a free port of loopback."""
    receiver = InsightsReceiver()
    with export_server(receiver.answer) as url:
        receiver.connection_string = f"InstrumentationKey={_KEY};IngestionEndpoint={url}/;LiveEndpoint={url}/"
        yield receiver
