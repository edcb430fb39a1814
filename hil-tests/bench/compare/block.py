"""What the blocks of the comparison share: their arguments, the clock, and the figures that they write.

`SCRIPT --period-ms P --steps N --json FILE` is one block: N steps, P ms apart. The lateness of a step is when
it began less when it was due, both by CLOCK_MONOTONIC. Below zero it is kept as it is: the step began early.
"""

import argparse
import json
import time
from importlib.metadata import version
from pathlib import Path

NS_PER_MS = 1_000_000


def positive(text):
    """A whole number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"not a whole number from 1: {text}")
    return number


def arguments(description):
    """The arguments of a block."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--period-ms", type=positive, required=True, metavar="P")
    parser.add_argument("--steps", type=positive, required=True, metavar="N")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    return parser.parse_args()


def now_ns():
    """The clock of all blocks."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def percentile(ordered, percent):
    """The smallest sample that so many percent of all samples do not exceed."""
    return ordered[-(-percent * len(ordered) // 100) - 1]


def write(path, package, mode, period_ms, lateness_ns):
    """Writes the figures of a block."""
    ordered = [lateness / 1000 for lateness in sorted(lateness_ns)]
    figures = {
        "system": f"{package} {version(package)}, {mode}",
        "period_ms": period_ms,
        "steps": len(ordered),
        "p50_us": round(percentile(ordered, 50), 1),
        "p99_us": round(percentile(ordered, 99), 1),
        "max_us": round(ordered[-1], 1),
        "early": sum(lateness < 0 for lateness in ordered),
    }
    path.write_text(json.dumps(figures) + "\n", encoding="utf-8")
