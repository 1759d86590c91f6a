"""The tables of Azure Monitor that telemetry comes to lie in, and the row that each item which is sent becomes.

Sources: the exporter's own models (`azure.monitor.opentelemetry.exporter._generated`), and for columns and types the
"Azure Monitor Logs reference": learn.microsoft.com/azure/azure-monitor/reference/tables/apprequests,
.../appdependencies, .../appmetrics, .../apptraces, .../appexceptions, .../appevents.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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


def row_of(item: Mapping[str, Any]) -> Row:
    """The row that an item becomes. Raises `KeyError` for a kind of telemetry that has no table here."""
    data, tags = item["data"], item.get("tags") or {}
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
