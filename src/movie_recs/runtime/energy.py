"""The energy that the machine's processors use, where Linux tells it: the counters of Intel's and AMD's processors."""

from pathlib import Path

COUNTERS = Path("/sys/class/powercap")  # on most machines for root alone


def read_energy(counters: Path = COUNTERS) -> dict[Path, int]:
    """Microjoules by processor, each from an unknown beginning; empty where they cannot be read."""
    found = {}
    for folder in sorted(counters.glob("intel-rapl:*")):
        if folder.name.count(":") == 1:  # a whole processor; its parts have two
            try:
                found[folder] = int((folder / "energy_uj").read_text())
            except (OSError, ValueError):
                continue
    return found


def joules_since(before: dict[Path, int]) -> float | None:
    """Joules since `read_energy`, of all programs on the machine; None where they are not known.

    A counter that is lower than before has passed its maximum once.
    """
    after = read_energy(next(iter(before)).parent) if before else {}
    if not before or set(after) != set(before):
        return None
    return sum(_passed(folder, before[folder], after[folder]) for folder in before) / 1e6


def _passed(folder: Path, before: int, after: int) -> int:
    return after - before if after >= before else after - before + int((folder / "max_energy_range_uj").read_text())
