"""Makes a table of the blocks of the comparison: `table.py FOLDER [--json FILE]`, a block being a file there.

A line of the table is one system at one period: the medians of its blocks, but of `max` the largest, and of
the early steps all, beside the number of steps. They come in the order in which the blocks were measured,
which is that of the names of their files. FILE receives `{"table": [...], "blocks": [...]}`.
"""

import argparse
import json
from pathlib import Path
from statistics import median

HEADLINE = f"{'system':<36} {'period':>7} {'p50 us':>9} {'p99 us':>9} {'max us':>9} {'early':>11}"


def lines(blocks):
    """The lines of the table."""
    groups = {}
    for block in blocks:
        groups.setdefault((block["period_ms"], block["system"]), []).append(block)
    return [
        {
            "system": system,
            "period_ms": period_ms,
            "blocks": len(group),
            "steps": sum(block["steps"] for block in group),
            "p50_us": round(median(block["p50_us"] for block in group), 1),
            "p99_us": round(median(block["p99_us"] for block in group), 1),
            "max_us": round(max(block["max_us"] for block in group), 1),
            "early": sum(block["early"] for block in group),
        }
        for (period_ms, system), group in groups.items()
    ]


def text(line):
    """A line as it is printed."""
    period, early = f"{line['period_ms']} ms", f"{line['early']}/{line['steps']}"
    figures = " ".join(f"{line[name]:>9.1f}" for name in ("p50_us", "p99_us", "max_us"))
    return f"{line['system']:<36} {period:>7} {figures} {early:>11}"


def main():
    parser = argparse.ArgumentParser(description="Prints the table of the comparison.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    blocks = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(given.folder.glob("*.json"))]
    table = lines(blocks)
    print(HEADLINE)
    for line in table:
        print(text(line))
    if given.json:
        text_of_all = json.dumps({"table": table, "blocks": blocks}, indent=2)
        given.json.write_text(text_of_all + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
