"""Calibration of the causes: the tables and the picture of docs/explanation/calibration.md.

    python docs/calibration.py

Reads benchmarks/calibration.md, which `python benchmarks/calibration.py --page` has written. A test makes both again
and compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leukopenia.report import svg
from leukopenia.report.svg import Axis

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / "benchmarks" / "calibration.md"
PAGE = ROOT / "docs" / "explanation" / "calibration.md"
PICTURE = ROOT / "docs" / "pictures" / "calibration.svg"
MARKS = ("<!-- made by docs/calibration.py -->", "<!-- end of what is made -->")

LEAST = 200
POINTS = 5.0
SHOWN = ("all off", "all on")


@dataclass(frozen=True)
class Tenth:
    """One row of a table of reliability: the tenth from `tenth` / 10 on."""

    tenth: int
    n: int
    given: float
    happened: float
    low: float
    high: float
    points: float


def measured(text: str) -> dict[str, list[Tenth]]:
    """The tables of reliability, by setting."""
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    return {part.split("\n", 1)[0].strip(): [_tenth(cells) for cells in _rows(part)] for part in parts}


def _rows(part: str) -> Iterator[list[str]]:
    for line in part.splitlines():
        if re.match(r"\| 0\.\d to ", line):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def _tenth(cells: Sequence[str]) -> Tenth:
    low, high = (float(end) for end in cells[4].split(" to "))
    return Tenth(
        round(10 * float(cells[0].split()[0])),
        int(cells[1]),
        float(cells[2]),
        float(cells[3]),
        low,
        high,
        float(cells[5]),
    )


def table(found: Mapping[str, Sequence[Tenth]]) -> str:
    """Given minus happened, in points, one line a setting."""
    heads = [f"{tenth / 10:.1f}" for tenth in range(10)]
    lines = [f"| departures | {' | '.join(heads)} | furthest |", "| --- " * 12 + "|"]
    for name, tenths in found.items():
        judged = [abs(one.points) for one in tenths if one.n >= LEAST]
        cells = {one.tenth: _cell(one) for one in tenths}
        lines.append(f"| {name} | {' | '.join(cells.get(tenth, '') for tenth in range(10))} | {max(judged):.1f} |")
    return "\n".join(lines) + "\n"


def _cell(one: Tenth) -> str:
    if one.n < LEAST:
        return "too few"
    return f"**{one.points:+.1f}**" if abs(one.points) > POINTS else f"{one.points:+.1f}"


def with_table(text: str, made: str) -> str:
    """The page with what is made between its marks."""
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n\n{made}\n{MARKS[1]}{after}"


# The picture

SIDE, LEFT, TOP, GAP = 250.0, 46.0, 46.0, 70.0
WIDTH, HEIGHT = LEFT + 2 * SIDE + GAP + 20, TOP + SIDE + 44
TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)
_STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1c242e; --soft: #56616f; --rule: #d8dde4; --line: #1c5fa8;
  --band: #e9eef5; }
@media (prefers-color-scheme: dark) { :root { --page: #12161b; --ink: #e4e8ed; --soft: #a3adb9; --rule: #2d3641;
  --line: #7fb4f2; --band: #1e2732; } }
text { font: 11px system-ui, sans-serif; fill: var(--ink); } .title { font-size: 12.5px; font-weight: 650; }
.tick { fill: var(--soft); font-size: 10.5px; } .page { fill: var(--page); } .plot { fill: none; stroke: var(--rule); }
.band { fill: var(--band); } .even { stroke: var(--soft); stroke-dasharray: 4 3; fill: none; }
.range { stroke: var(--line); fill: none; } .mark { fill: var(--line); }
"""


def picture(found: Mapping[str, Sequence[Tenth]]) -> str:
    """Given against happened, with and without the departures."""
    body = [f'<rect class="page" width="{WIDTH:g}" height="{HEIGHT:g}"/>']
    for number, name in enumerate(SHOWN):
        body += [f'<g transform="translate({number * (SIDE + GAP):g} 0)">', *_panel(name, found[name]), "</g>"]
    title = "Probabilities of causes, given and come true"
    words = (
        "Each mark is a tenth of the probabilities of all candidates of simulated episodes; the band is 5 points wide."
    )
    drawn = svg.figure(WIDTH, HEIGHT, f"<style>{_STYLE}</style>\n" + "\n".join(body), title, words, "calibration")
    return drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _panel(name: str, tenths: Sequence[Tenth]) -> Iterator[str]:
    x, y = Axis(0, 1, LEFT, LEFT + SIDE), Axis(0, 1, TOP + SIDE, TOP)
    yield svg.label(LEFT, TOP - 14, f"departures {name}", "title")
    off = POINTS / 100
    corners = ((0, 0), (0, off), (1 - off, 1), (1, 1), (1, 1 - off), (off, 0))
    yield svg.path("M" + "L".join(f"{x.at(a):g} {y.at(b):g}" for a, b in corners) + "z", "band")
    yield svg.box(LEFT, TOP, SIDE, SIDE, "plot")
    yield svg.path(f"M{x.at(0):g} {y.at(0):g}L{x.at(1):g} {y.at(1):g}", "even")
    for tick in TICKS:
        yield svg.label(x.at(tick), TOP + SIDE + 15, f"{tick:g}", "tick", "middle")
        yield svg.label(LEFT - 6, y.at(tick) + 3.5, f"{tick:g}", "tick", "end")
    yield svg.label(LEFT + SIDE / 2, TOP + SIDE + 32, "probability given", "tick", "middle")
    for one in tenths:
        yield svg.upright(x.at(one.given), y.at(one.low), y.at(one.high), "range")
        words = f"{one.n} candidates: given {one.given:.3f}, came true {one.happened:.3f}"
        yield svg.mark(x.at(one.given), y.at(one.happened), "measured", "mark", words)


def main() -> None:
    """Write the picture, and the table into the page."""
    found = measured(MEASURED.read_text(encoding="utf-8"))
    PICTURE.write_text(picture(found), encoding="utf-8")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), table(found)), encoding="utf-8")


if __name__ == "__main__":
    main()
