"""How fast a model endpoint may be asked: a token bucket, as arithmetic over a level and an instant.

Source: the committed bucket of RFC 2697, section 3. An amount that is not there yet is lent, and whoever takes it waits
until the bucket has earned it back: so waits are served in the order of their coming.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(slots=True)
class TokenBucket:
    """`per_minute` units flow in evenly, and at most as many as flow in within a minute are saved up."""

    per_minute: int
    level: float
    as_of: datetime

    @classmethod
    def full(cls, per_minute: int, now: datetime) -> "TokenBucket":
        """A bucket that nothing was taken from yet."""
        return cls(per_minute, float(per_minute), now)

    def take(self, amount: float, now: datetime) -> timedelta:
        """Take `amount`; the wait after which it may be used, zero when it was there.

        A single amount over the bucket's size waits until the bucket is full, for more it could wait for ever.
        """
        self._fill(now)
        self.level -= amount
        missing = -max(self.level, float(-self.per_minute)) if self.level < 0 else 0.0
        return timedelta(minutes=missing / self.per_minute)

    def give_back(self, amount: float, now: datetime) -> None:
        """Return what was taken and not used."""
        self._fill(now)
        self.level = min(float(self.per_minute), self.level + amount)

    def _fill(self, now: datetime) -> None:
        # A clock that is set back earns nothing, and takes nothing away.
        earned = max(0.0, (now - self.as_of) / timedelta(minutes=1)) * self.per_minute
        self.level = min(float(self.per_minute), self.level + earned)
        self.as_of = now
