"""A profile: how much is run in a month, by which patterns and which model, and how the app is deployed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scripts.cost.counts import Frozen
from scripts.cost.toml_file import FileRefused, read_toml

PROFILES = Path(__file__).parent / "profiles"
DEFAULT = "team"

type Pattern = Literal["sequential", "parallel", "hierarchical", "event-driven", "consensus", "handoff", "review-loop"]
type Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class ModelUse(Frozen):
    """The language model. Tokens are for each call; "measured" takes those that the measurement counted.

    `cached_share` is how much of the input the provider has kept from before. `seconds_per_call` is how long an answer
    takes: functions that wait for it are paid for.
    """

    name: str = Field(min_length=1)
    seconds_per_call: Annotated[float, Field(ge=0, le=1800)]
    input_tokens: Annotated[int, Field(ge=0)] | Literal["measured"] = "measured"
    output_tokens: Annotated[int, Field(ge=0)] | Literal["measured"] = "measured"
    cached_share: Share = 0.0


class Deployment(Frozen):
    """How the app is deployed; the first four are choices of `azd up`.

    `executions_at_once` is how many function calls share an instance on average: while models are waited for, an
    instance serves many at the price of one. `free_grants` says whether this app may use up what is free for the whole
    subscription.
    """

    durable_backend: Literal["scheduler", "storage"] = "scheduler"
    private_network: bool = False
    instance_mb: Literal[512, 2048, 4096] = 2048
    always_ready_http: Annotated[int, Field(ge=0, le=1000)] = 0
    retention_days: Annotated[int, Field(ge=1, le=3650)] = 90
    executions_at_once: Annotated[float, Field(ge=1, le=16)] = 1.0
    free_grants: bool = True


class Profile(Frozen):
    """One month. `looks_per_run` is how often somebody asks how a run is going."""

    description: str = Field(min_length=1)
    runs_per_month: Annotated[int, Field(ge=0)]
    mix: Mapping[Pattern, Share]
    looks_per_run: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    model: ModelUse
    deployment: Deployment = Deployment()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = sum(self.mix.values())
        if abs(total - 1) > 1e-9:
            raise ValueError(f"mix: the shares of the patterns add up to {total:g}, not to 1")
        return self


def profile_names() -> tuple[str, ...]:
    """The profiles that there are."""
    return tuple(sorted(path.stem for path in PROFILES.glob("*.toml")))


def read_profile(name: str) -> Profile:
    """A profile by its name, or one of your own by the path of its file. Raises `FileRefused`."""
    if name in profile_names():
        return read_toml(PROFILES / f"{name}.toml", Profile)
    if not name.endswith(".toml"):
        raise FileRefused(f"there is no profile {name!r}: choose {', '.join(profile_names())}, or the path of a .toml")
    return read_toml(Path(name), Profile)
