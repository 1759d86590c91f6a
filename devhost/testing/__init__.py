"""The local host inside a test: any Durable Functions Python app, with time that the test moves and crashes on demand.

    async with AppHost(APP, settings={"ORDERS": "test"}) as host:
        answer = await host.client.post("/api/approvals", json={"amount": 7})
        await host.advance(timedelta(hours=24))
        assert (await host.finished(answer.json()["id"])).output == "rejected"

Parts: `AppHost` runs the app; `AppClient` asks its HTTP functions; `CrashPlan` names where the task hub dies; `quiet`
tells when nothing more can happen before time moves. See `docs/localhost.md`.
"""

from devhost.testing.app_host import AppHost
from devhost.testing.client import Answer, AppClient
from devhost.testing.crashes import CrashPlan
from devhost.testing.quiet import NotQuiet
from devhost.testing.runs import RunState

__all__ = ["Answer", "AppClient", "AppHost", "CrashPlan", "NotQuiet", "RunState"]
