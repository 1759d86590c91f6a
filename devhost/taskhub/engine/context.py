"""What the parts of one engine share."""

from dataclasses import dataclass

from devhost.clock import Clock
from devhost.taskhub.alarms import Alarms
from devhost.taskhub.engine.commits import Commits
from devhost.taskhub.engine.crash_points import CrashPoints
from devhost.taskhub.engine.identifiers import Ids
from devhost.taskhub.engine.instances import Instances
from devhost.taskhub.engine.journal import Journal
from devhost.taskhub.engine.pulse import Pulse
from devhost.taskhub.engine.timers import Timers
from devhost.taskhub.engine.tracing import Tracing
from devhost.taskhub.versioning import Versioning


@dataclass(frozen=True, slots=True)
class Context:
    """One engine's shared parts."""

    clock: Clock
    ids: Ids
    crash_points: CrashPoints
    pulse: Pulse
    alarms: Alarms
    timers: Timers
    commits: Commits
    journal: Journal
    instances: Instances
    versioning: Versioning
    tracing: Tracing | None = None
