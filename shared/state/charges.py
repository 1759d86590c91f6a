"""What the state store charges: request units by operation, and by run as far as this process has asked for it."""

from collections import Counter, OrderedDict, defaultdict

_RUNS_KEPT = 1000


class Charges:
    """Counts operations and request units (RU). A free store charges none and still counts."""

    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()
        self.request_units: defaultdict[str, float] = defaultdict(float)
        self._unreported: OrderedDict[str, float] = OrderedDict()

    def add(self, operation: str, run: str | None, units: float) -> None:
        """Count one operation; `run` is the one that it was for, if it was for one."""
        self.operations[operation] += 1
        self.request_units[operation] += units
        if run is not None:
            self.give_back(run, units)

    def unreported(self, run: str) -> float:
        """What was charged for a run and is not in its documents yet."""
        return self._unreported.get(run, 0.0)

    def take(self, run: str) -> float:
        """The same, for whoever is about to write it down, and for nobody else."""
        return self._unreported.pop(run, 0.0)

    def give_back(self, run: str, units: float) -> None:
        """These units are still to be written down."""
        self._unreported[run] = self._unreported.pop(run, 0.0) + units
        if len(self._unreported) > _RUNS_KEPT:
            self._unreported.popitem(last=False)
