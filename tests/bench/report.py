#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the samples of tests/bench/sync.py amount to: rows with a goal each, a table, a chart.

    report.py bench.json [SVG]     prints the table in Markdown, as README.md shows it; draws the chart"""

import json
import os
import subprocess
import sys
import tempfile
from collections import namedtuple

from bench import median
from steady import growth_curve

# what is judged: the median of `value`, at most (or at least) `goal`; told: the absolute figures
Row = namedtuple("Row", "case value what reference goal unit told least", defaults=[False])


def walls(samples):
    return f"{median(samples, 'rosterd', 'wall'):.2f} s / {median(samples, 'reference', 'wall'):.2f} s"


def cpus(samples):
    return (f"{median(samples, 'rosterd', 'cpu'):.2f} s / {median(samples, 'reference', 'cpu'):.1f} s of CPU"
            f" ({samples[0]['users']} users)")


def seconds(samples):
    return f"{median(samples, 'rosterd', 'wall'):.2f} s for {samples[0]['pages']} pages"


def throttled(samples):
    return f"{median(samples, 'throttled'):g} of {median(samples, 'requests'):g} requests"


def most_memory(samples):
    return f"{median(samples, 'rss') / (1 << 20):.1f} MiB at {samples[0]['users']} users"


def least_memory(samples):
    return f"{median(samples, 'mib_1000'):.1f} MiB"


def rest(samples):
    return f"{1000 * median(samples, 'cpu'):.1f} ms in {samples[0]['seconds']:.0f} s"


def wakeups(samples):
    return f"{median(samples, 'wakeups'):g} in {samples[0]['seconds']:.0f} s"


def queries(samples):
    return f"{median(samples, 'import', 'p99_usec'):.0f} µs / {median(samples, 'rest', 'p99_usec'):.0f} µs"


def grown(kind, decade):
    def told(samples):
        cpu = ", ".join(f"{y:.3g}" for _, y in growth_curve(samples, kind))
        return f"{cpu} s; last tenfold {median(samples, decade):.2f}"
    return told


ROWS = [
    Row("unchanged", "value", "nothing changed", "bare libcurl download", 1.5, "times", walls),
    Row("script", "value", "nothing changed", "boto3 + sqlite3 script", 80, "times less CPU", cpus, True),
    Row("changed", "value", "1% changed", "bare libcurl download", 2.0, "times", walls),
    Row("import", "value", "first import", "json-c parsing alone", 2.5, "times", walls),
    Row("shuffled", "value", "order shuffled", "bare libcurl download", 1.8, "times", walls),
    Row("accounts", "value", "many accounts, 4 at once", "bare download, 4 at once", 2.0, "times", walls),
    Row("rate", "value", "10 requests a second", "pages / 10", 1.03, "times", seconds),
    Row("rate", "throttled_percent", "throttled", "requests", 1, "%", throttled),
    Row("memory", "value", "memory", "RSS at 1,000 users", 40, "bytes a user", most_memory),
    Row("memory", "mib_1000", "memory, 1,000 users", "", 12, "MiB", least_memory),
    Row("idle", "value", "idle, 100 accounts", "one core", 0.05, "%", rest),
    Row("idle", "wakeups", "idle, 100 accounts", "", 0, "wake-ups", wakeups),
    Row("readers", "value", "p99 of a query during an import", "at rest", 2.0, "times", queries),
    Row("growth", "value", "growth, nothing changed", "users", 1.05, "exponent of CPU",
        grown("unchanged", "last_decade")),
    Row("growth", "value_import", "growth, first import", "users", 1.05, "exponent of CPU",
        grown("import", "last_decade_import")),
]
CASES = list(dict.fromkeys(row.case for row in ROWS))


def judge(samples):
    """A result for each row that was measured, in the order of ROWS, without TLS first.  The samples of a
    case with several rows stand in the first one."""
    results = []
    for row in ROWS:
        for transport in ("http", "https"):
            taken = samples.get((row.case, transport))
            if not taken:
                continue
            value = median(taken, row.value)
            first = row == next(r for r in ROWS if r.case == row.case)
            results.append({"case": row.case, "transport": transport, "what": row.what, "reference": row.reference,
                            "goal": row.goal, "at": "least" if row.least else "most", "unit": row.unit,
                            "value": round(value, 4), "met": value >= row.goal if row.least else value <= row.goal,
                            "told": row.told(taken), "samples": taken if first else None})
    return results


def name_of(result):
    return result["what"] + (", TLS" if result["transport"] == "https" else "")


def cells(result):
    sign = "≥" if result["at"] == "least" else "≤"
    return [name_of(result), result["reference"], f"{sign} {result['goal']:g} {result['unit']}",
            f"{result['value']:.3g}", "yes" if result["met"] else "no", result["told"]]


HEAD = ["case", "reference", "goal", "measured", "met", "rosterd / reference"]


def table(result):
    """For a terminal."""
    rows = [HEAD] + [cells(r) for r in result["results"]]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def markdown(result):
    rows = [HEAD, ["---"] * len(HEAD)] + [cells(r) for r in result["results"]]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


# -- the chart -----------------------------------------------------------------------------

# a light background of its own, so that it can be read wherever it is shown
CHART = """
set terminal svg size 900,{height} font "sans-serif,13" background "#ffffff" name "rosterd"
set output "{svg}"
set encoding utf8
set border 3 lc rgb "#555555"
set tics nomirror tc rgb "#222222"
set multiplot
set key off
set title "{users} users, {rounds}: what was measured, as a part of its goal (up to 1: met)" tc rgb "#222222"
set origin 0,{split}
set size 1,{above}
set lmargin 38
set rmargin 16
set xrange [0:{most}]
set yrange [{bars}.6:0.4] noextend
set xlabel "measured / goal" tc rgb "#222222"
set ytics ({names}) scale 0
set grid xtics lc rgb "#dddddd"
set style fill solid noborder
set arrow 1 from 1,graph 0 to 1,graph 1 nohead lw 2 lc rgb "#222222" front
plot $bars using ($2/2):1:($2/2):(0.36):3 with boxxyerror lc rgb variable, \\
     $bars using 2:1:4 with labels left offset 0.5,0 tc rgb "#222222" noenhanced
unset arrow 1
{growth}
unset multiplot
"""

GROWTH = """
set origin 0,0
set size 1,{below}
set lmargin 12
set rmargin 3
set title "CPU against the number of users" tc rgb "#222222"
set key top left tc rgb "#222222"
set logscale xy
set xrange [*:*]
set yrange [*:*]
set ytics auto scale 1
set grid xtics ytics lc rgb "#dddddd"
set xlabel "users" tc rgb "#222222"
set ylabel "CPU, seconds" tc rgb "#222222"
set format x "10^{{%T}}"
plot $import using 1:2 with linespoints lw 2 pt 7 lc rgb "#b35900" title "first import", \\
     $unchanged using 1:2 with linespoints lw 2 pt 5 lc rgb "#00669e" title "nothing changed"
"""


def part_of_goal(result):
    """How much of what is allowed was used: up to 1 is good.  Where nothing is allowed, one more than what
    there was."""
    if result["goal"] == 0:
        return result["value"] + 1
    if result["at"] == "least":
        return result["goal"] / max(result["value"], 1e-9)
    return max(result["value"], 0) / result["goal"]


def data_block(name, rows):
    return f"${name} << EOD\n" + "".join(" ".join(map(str, row)) + "\n" for row in rows) + "EOD\n"


def quoted(text):
    return '"' + text.replace('"', "'") + '"'


def draw(result, svg):
    """Has gnuplot draw it.  The same figures give the same bytes."""
    rows = result["results"]
    growth = next((r for r in rows if r["case"] == "growth"), None)
    bars, most, names, text = [], 1.2, [], ""
    for i, r in enumerate(rows, 1):
        part = part_of_goal(r)
        most = max(most, part * 1.05)
        bars.append((i, f"{part:.4f}", 0x3C8D5A if r["met"] else 0xC0502D, quoted(f"{r['value']:.3g} {r['unit']}")))
        names.append(f"{quoted(name_of(r))} {i}")
    above = 110 + 24 * len(bars)
    below = 330 if growth else 0
    if growth:
        for kind in ("import", "unchanged"):
            text += data_block(kind, growth_curve(growth["samples"], kind))
    text += data_block("bars", bars)
    height = above + below
    text += CHART.format(height=height, svg=svg.replace('"', ""), users=f"{result['users']:,}", bars=len(bars),
                         rounds="one round" if result["rounds"] == 1 else f"medians of {result['rounds']} rounds",
                         split=below / height, above=above / height, most=most, names=", ".join(names),
                         growth=GROWTH.format(below=below / height) if growth else "")
    with tempfile.NamedTemporaryFile("w", suffix=".gp", encoding="utf-8") as f:
        f.write(text)
        f.flush()
        subprocess.run(["gnuplot", f.name], check=True, timeout=60, env=dict(os.environ, LC_ALL="C.UTF-8"))


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        result = json.load(f)
    print(markdown(result))
    if len(sys.argv) > 2:
        draw(result, sys.argv[2])


if __name__ == "__main__":
    main()
