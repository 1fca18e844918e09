#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the samples of tests/bench/sync.py amount to: rows with a goal each, a table, a chart.

    report.py bench.json SVG README.md     draws the chart, writes the table anew where README.md has it"""

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
    Row("script", "value", "nothing changed, CPU", "boto3 + sqlite3 script", 80, "times less CPU", cpus, True),
    Row("changed", "value", "1% changed", "bare libcurl download", 2.0, "times", walls),
    Row("import", "value", "first import", "json-c parsing alone", 2.5, "times", walls),
    Row("shuffled", "value", "order shuffled", "bare libcurl download", 1.8, "times", walls),
    Row("accounts", "value", "many accounts, 4 at once", "bare download, 4 at once", 2.0, "times", walls),
    Row("rate", "value", "10 requests a second", "pages / 10", 1.03, "times", seconds),
    Row("rate", "throttled_percent", "throttled", "requests", 1, "%", throttled),
    Row("memory", "value", "memory", "RSS at 1,000 users", 40, "bytes a user", most_memory),
    Row("memory", "mib_1000", "memory, 1,000 users", "", 12, "MiB", least_memory),
    Row("idle", "value", "100 accounts at rest, CPU", "one core", 0.05, "%", rest),
    # the one with a reason: retention's first round, a minute after the start
    Row("idle", "wakeups", "100 accounts at rest", "retention's round", 1, "wake-ups", wakeups),
    Row("readers", "value", "slowest 1% of queries during an import", "at rest", 2.0, "times", queries),
    Row("growth", "value", "growth of CPU, nothing changed", "users", 1.05, "exponent",
        grown("unchanged", "last_decade")),
    Row("growth", "value_import", "growth of CPU, first import", "users", 1.05, "exponent",
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


def goal_of(result):
    return f"{'≥' if result['at'] == 'least' else '≤'} {result['goal']:g}"


def cells(result):
    return [name_of(result), result["reference"], f"{goal_of(result)} {result['unit']}", f"{result['value']:.3g}",
            "yes" if result["met"] else "no", result["told"]]


HEAD = ["case", "reference", "goal", "measured", "met", "rosterd / reference"]


def table(result):
    """For a terminal."""
    rows = [HEAD] + [cells(r) for r in result["results"]]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def caption(result):
    """What it was measured on."""
    on = result["machine"]
    return (f"{result['users']:,} users, {rounds_of(result)}; {on['processor']}, {on['cores']} cores, load"
            f" {on['load']:.1f} before it began; {result['date']}.")


def rounds_of(result):
    return "one round" if result["rounds"] == 1 else f"medians of {result['rounds']} rounds"


def markdown(result):
    rows = [HEAD, ["---"] * len(HEAD)] + [cells(r) for r in result["results"]]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


# -- the chart -----------------------------------------------------------------------------

AXIS = 2.5  # how far beyond its goal a bar is drawn

# a light background of its own, so that it can be read wherever it is shown
CHART = """
set terminal svg size 900,{height} font "sans-serif,13" background "#ffffff" name "rosterd"
set output "{svg}"
set encoding utf8
set border 3 lc rgb "#555555"
set tics nomirror tc rgb "#222222"
set multiplot
set key off
set label 1 "{users} users, {rounds}. Up to the line, a goal is met." at screen 0.5,{title} center tc rgb "#222222"
set origin 0,{split}
set size 1,{above}
set lmargin 41
set rmargin 24
set tmargin 3
set xrange [0:{axis}]
set yrange [{bars}.6:0.4] noextend
set xlabel "measured / goal" tc rgb "#222222"
set ytics ({names}) scale 0
set grid xtics lc rgb "#dddddd"
set style fill solid noborder
set arrow 1 from 1,graph 0 to 1,graph 1 nohead lw 2 lc rgb "#222222" front
plot $bars using ($2/2):1:($2/2):(0.36):3 with boxxyerror lc rgb variable, \\
     $bars using 4:1:5 with labels left offset 0.5,0 tc rgb "#222222" noenhanced
unset arrow 1
unset label 1
{growth}
unset multiplot
"""

GROWTH = """
set origin 0,0
set size 1,{below}
set lmargin 12
set rmargin 3
set tmargin 3
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
    """How much of what is allowed was used: up to 1 is good."""
    if result["at"] == "least":
        return result["goal"] / max(result["value"], 1e-9)
    return max(result["value"], 0) / result["goal"]


def data_block(name, rows):
    return f"${name} << EOD\n" + "".join(" ".join(map(str, row)) + "\n" for row in rows) + "EOD\n"


def quoted(text):
    return '"' + text.replace('"', "'") + '"'


def bar(place, result):
    """Its length stops at the chart's edge; the label has the figure."""
    label = f"{result['value']:.3g} {result['unit']} ({goal_of(result)})"
    length = min(part_of_goal(result), AXIS)
    colour = 0x3C8D5A if result["met"] else 0xC0502D
    return (place, f"{length:.4f}", colour, f"{max(length, 1):.4f}", quoted(label))


def draw(result, svg):
    """Has gnuplot draw it.  The same figures give the same bytes."""
    rows = result["results"]
    growth = next((r for r in rows if r["case"] == "growth"), None)
    bars = [bar(i, r) for i, r in enumerate(rows, 1)]
    names = [quoted(name_of(r).replace("%", "%%")) + f" {i}" for i, r in enumerate(rows, 1)]
    text = ""
    above = 120 + 24 * len(bars)
    below = 350 if growth else 0
    if growth:
        for kind in ("import", "unchanged"):
            text += data_block(kind, growth_curve(growth["samples"], kind))
    text += data_block("bars", bars)
    height = above + below
    text += CHART.format(height=height, svg=svg.replace('"', ""), users=f"{result['users']:,}", bars=len(bars),
                         rounds=rounds_of(result),
                         split=below / height, above=above / height, title=1 - 22 / height, axis=AXIS,
                         names=", ".join(names), growth=GROWTH.format(below=below / height) if growth else "")
    with tempfile.NamedTemporaryFile("w", suffix=".gp", encoding="utf-8") as f:
        f.write(text)
        f.flush()
        subprocess.run(["gnuplot", f.name], check=True, timeout=60, env=dict(os.environ, LC_ALL="C.UTF-8"))


BEGIN, END = "<!-- by make update-bench -->\n", "<!-- end -->\n"


def update(readme, result):
    with open(readme, encoding="utf-8") as f:
        before, _, rest = f.read().partition(BEGIN)
    _, _, after = rest.partition(END)
    assert before and after, f"{readme} has no place for the table"
    with open(readme, "w", encoding="utf-8") as f:
        f.write(before + BEGIN + caption(result) + "\n\n" + markdown(result) + "\n" + END + after)


def main(figures, svg, readme):
    with open(figures, encoding="utf-8") as f:
        result = json.load(f)
    draw(result, svg)
    update(readme, result)


if __name__ == "__main__":
    main(*sys.argv[1:])
