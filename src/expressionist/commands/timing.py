"""How long stages take: told when one begins, noted when it ends, summed up after a run.

What is noted lies in the cache: it is about this machine, and no stage hangs on it.
"""

import resource
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

TIMES = Path("data/cache/times.tsv")


@dataclass(frozen=True)
class StageTime:
    """What a stage took, once."""

    stage: str  # as DVC calls it, such as `tune@vgg19`
    ended: float  # seconds since 1970
    wall: float  # seconds on the clock
    cpu: float  # seconds of all processors, with the processes that it started
    megabytes: float  # most memory that it had at once


def measure(stage: str, wall: float) -> StageTime:
    """Measure this process, which has run a stage for so many seconds."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(each.ru_utime + each.ru_stime for each in used)
    return StageTime(stage, time.time(), wall, cpu, _read_peak(used) / 1e6)


def _read_peak(used: Sequence[resource.struct_rusage]) -> float:
    """Read the most bytes that this process, or one that it started, has had."""
    # macOS counts bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    own, others = (unit * each.ru_maxrss for each in used)
    status = Path("/proc/self/status")
    if status.exists():
        # Linux may hand a process the peak of the one that started it; this one is its own.
        lines = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
        own = 1024 * int(lines["VmHWM"].split()[0])
    return max(own, others)


def note(taken: StageTime, path: Path = TIMES) -> None:
    """Add a line to the file of times."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write("\t".join(str(value) for value in astuple(taken)) + "\n")


def read_times(path: Path = TIMES, since: float = 0) -> dict[str, StageTime]:
    """Read the last time of every stage that has ended since then, without lines that were never finished."""
    found = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            stage, *numbers = line.split("\t")
            if len(numbers) == 4:
                taken = StageTime(stage, *map(float, numbers))
                if taken.ended >= since:
                    found[stage] = taken
    return found


def read_plan(folder: Path) -> dict[str, set[str]]:
    """Read from dvc.yaml and params.yaml which stages there are, in order, as DVC calls them.

    Each comes with those that it hangs on, directly or not: without the part behind ``@``, and without the
    stage `code`, which runs after every edit but seldom makes others run.
    """
    import yaml

    written = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    backbones = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))["backbones"]
    outs = {name: _list_paths(stage.get("outs", [])) for name, stage in written.items() if name != "code"}
    hangs: dict[str, set[str]] = {}
    for name, stage in written.items():
        deps = _list_paths(stage.get("deps", []))
        on = {each for each in hangs if any(_meet(dep, out) for dep in deps for out in outs.get(each, []))}
        hangs[name] = on.union(*(hangs[each] for each in on))
    names = [
        (name, [f"{name}@{each}" for each in backbones] if "matrix" in stage else [name])
        for name, stage in written.items()
    ]
    return {one: hangs[name] for name, ones in names for one in ones}


def _list_paths(entries: Iterable[str | dict[str, object]]) -> list[str]:
    """Take paths without their flags, and without what differs between backbones."""
    paths = (next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries)
    return [path.partition("${item")[0] for path in paths]


def _meet(one: str, other: str) -> bool:
    return bool(one and other) and (one.startswith(other) or other.startswith(one))


def announce(stage: str, plan: dict[str, set[str]], known: dict[str, StageTime], ran: Iterable[str]) -> str:
    """Say which stage of a plan begins, how far the run is, and how long this and the rest took last time.

    What hangs on what this run `ran`, or on this stage, is still to come. Where a time is not `known` nothing
    is made up.
    """
    names = list(plan)
    place = names.index(stage)
    moved = {each.partition("@")[0] for each in [stage, *ran]}
    coming = [each for each in names[place + 1 :] if plan[each] & moved or each.partition("@")[0] in moved]
    told = f"[{place + 1}/{len(names)}] {stage.replace('@', ' ')}"
    if stage not in known:
        return told
    told += f" ({spell(known[stage].wall)} last time"
    if coming and all(each in known for each in coming):
        told += f"; about {spell(sum(known[each].wall for each in [stage, *coming]))} left"
    return f"{told})"


def spell(seconds: float) -> str:
    """Spell a time.

    >>> spell(41.2), spell(200), spell(8000)
    ('41 s', '3 min', '2.2 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def lay_out(times: Iterable[StageTime]) -> list[str]:
    """Lay out what stages took as lines of text, with their sum."""
    rows = list(times)
    wall, cpu = sum(row.wall for row in rows), sum(row.cpu for row in rows)
    total = StageTime("all", 0, wall, cpu, max([0, *(row.megabytes for row in rows)]))
    width = max([10, *(len(row.stage) for row in rows)])
    lines = [f"{'stage':<{width}}  {'processor s':>11}  {'clock s':>9}  {'peak MB':>8}"]
    for row in [*rows, total]:
        lines.append(f"{row.stage:<{width}}  {row.cpu:>11,.1f}  {row.wall:>9,.1f}  {row.megabytes:>8,.0f}")
    return lines
