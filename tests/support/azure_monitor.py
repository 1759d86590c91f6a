"""Azure Monitor's ingestion endpoint on loopback: what its exporter sends, as the rows of tables that it becomes.

    async with azure_monitor() as monitor:
        # let a process export to monitor.connection_string
        costs = [row for row in monitor.rows if row.name == "muster.cost"]

Sources: the exporter's own models (`azure.monitor.opentelemetry.exporter._generated`), and for columns and types the
"Azure Monitor Logs reference": learn.microsoft.com/azure/azure-monitor/reference/tables/apprequests,
.../appdependencies, .../appmetrics, .../apptraces, .../appexceptions, .../appevents.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

_EVERY = {
    "TimeGenerated": "datetime",
    "OperationId": "string",
    "OperationName": "string",
    "ParentId": "string",
    "AppRoleName": "string",
    "AppRoleInstance": "string",
    "Properties": "dynamic",
    "ItemCount": "int",
    "Type": "string",
}
_CALL = {
    "Id": "string",
    "Name": "string",
    "Success": "bool",
    "ResultCode": "string",
    "DurationMs": "real",
    "Measurements": "dynamic",
}

TABLES: Mapping[str, Mapping[str, str]] = {
    "AppRequests": {**_EVERY, **_CALL, "Url": "string", "Source": "string"},
    "AppDependencies": {**_EVERY, **_CALL, "Data": "string", "Target": "string", "DependencyType": "string"},
    "AppMetrics": {**_EVERY, "Name": "string", "Sum": "real", "Min": "real", "Max": "real"},
    "AppTraces": {**_EVERY, "Message": "string", "SeverityLevel": "int", "Measurements": "dynamic"},
    "AppExceptions": {
        **_EVERY,
        "ExceptionType": "string",
        "OuterMessage": "string",
        "ProblemId": "string",
        "SeverityLevel": "int",
        "Measurements": "dynamic",
    },
    "AppEvents": {**_EVERY, "Name": "string", "Measurements": "dynamic"},
}
"""The tables that Application Insights fills, and those of their columns that are documented and of use to queries."""

_TABLE_OF = {
    "RequestData": "AppRequests",
    "RemoteDependencyData": "AppDependencies",
    "MetricData": "AppMetrics",
    "MessageData": "AppTraces",
    "ExceptionData": "AppExceptions",
    "EventData": "AppEvents",
}


@dataclass(frozen=True)
class Row:
    """One row of a table; a line's or an exception's text where the row has no name of its own.

    `sum` and `count` are a metric's; `operation` and `parent` are a span's trace and parent.
    """

    table: str
    name: str
    properties: Mapping[str, str]
    id: str = ""
    operation: str = ""
    parent: str = ""
    sum: float = 0.0
    count: int = 1


def row_of(envelope: Mapping[str, Any]) -> Row:
    """The row that an envelope becomes. Raises `KeyError` for a kind of telemetry that has no table here."""
    data, tags = envelope["data"], envelope.get("tags") or {}
    base = data["baseData"]
    [point] = base.get("metrics") or [{}]
    [error] = base.get("exceptions") or [{}]
    return Row(
        table=_TABLE_OF[data["baseType"]],
        name=str(base.get("name") or point.get("name") or base.get("message") or _told(error)),
        properties=base.get("properties") or {},
        id=str(base.get("id") or ""),
        operation=str(tags.get("ai.operation.id") or ""),
        parent=str(tags.get("ai.operation.parentId") or ""),
        sum=float(point.get("value") or 0.0),
        count=int(point.get("count") or 1),
    )


def _told(error: Mapping[str, Any]) -> str:
    """An exception's type, message and traceback, as far as they were sent."""
    return " ".join(str(error[part]) for part in ("typeName", "message", "stack") if error.get(part))


@dataclass
class AzureMonitor:
    """`rows` are what came so far; `connection_string` names this endpoint."""

    connection_string: str = ""
    rows: list[Row] = field(default_factory=list)

    async def track(self, request: web.Request) -> web.Response:
        """`POST /v2.1/track`: a JSON array of envelopes, all of which are taken."""
        envelopes = json.loads(await request.read())
        self.rows.extend(row_of(envelope) for envelope in envelopes)
        return web.json_response({"itemsReceived": len(envelopes), "itemsAccepted": len(envelopes), "errors": []})


@asynccontextmanager
async def azure_monitor() -> AsyncIterator[AzureMonitor]:
    """A running `AzureMonitor` on a free port of loopback. Everything else that the SDK asks for is not found."""
    monitor = AzureMonitor()
    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_post("/v2.1/track", monitor.track)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    here = f"http://{host}:{port}"
    key = "00000000-0000-0000-0000-000000000000"
    monitor.connection_string = f"InstrumentationKey={key};IngestionEndpoint={here};LiveEndpoint={here}"
    try:
        yield monitor
    finally:
        await runner.cleanup()
