"""The picture of the README: one person's timeline, cut out of a report so that it stands alone.

    leukopenia demo /somewhere
    python docs/picture.py /somewhere/report.html sim-0233 docs/pictures/timeline.svg

Only pictures of simulated persons belong here.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_NOT_OF_A_PICTURE = ("figure", "figcaption", ".timeline", ".legend", "body", "section")
_MARGIN = 14


def cut(page: str, person: str) -> str:
    """The timeline of one person of a report as an SVG file with its own colours and background."""
    beginning = rf'<svg viewBox="0 0 (\d+) (\d+)"[^>]*>(<title[^>]*>Timeline of {person},'
    figure = re.search(beginning + ".*?)</svg>", page, re.S)
    if figure is None:
        raise SystemExit(f"There is no timeline of {person} in this report.")
    width, height, drawn = int(figure[1]), int(figure[2]), figure[3]
    page_box = f'x="{-_MARGIN}" y="{-_MARGIN}" width="{width + 2 * _MARGIN}" height="{height + 2 * _MARGIN}"'
    view = f"{-_MARGIN} {-_MARGIN} {width + 2 * _MARGIN} {height + 2 * _MARGIN}"
    hatch = re.search(r"<defs>.*?</defs>", page, re.S)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}" role="img">\n'
        f"<style>\n{style(page, drawn)}\n.page {{ fill: var(--page); }}\n</style>\n"
        f'{hatch[0] if hatch else ""}\n<rect class="page" {page_box}/>\n{drawn}\n</svg>\n'
    )


def style(page: str, drawn: str) -> str:
    """The colours, light and dark, and the rules of those classes that the picture uses."""
    sheet = re.search(r"<style>(.*?)</style>", page, re.S)
    text = sheet[1] if sheet else ""
    classes = {"hatch-line", *" ".join(re.findall(r'class="([^"]+)"', drawn)).split()}
    colours = re.findall(r":root \{[^}]*--[^}]*\}|@media screen[^{]*\{\s*:root \{[^}]*\}\s*\}", text)[:2]
    plain = re.sub(r"/\*.*?\*/", "", text.split("@media (max-width")[0], flags=re.S)
    rules = [(selector.strip(), body) for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", plain)]
    used = [f"{selector} {{{body}}}" for selector, body in rules if _used(selector, classes)]
    return "\n".join([*colours, *used])


def _used(selector: str, classes: set[str]) -> bool:
    if selector.startswith(_NOT_OF_A_PICTURE) or ":root" in selector or selector == "svg":
        return False
    named = set(re.findall(r"\.([\w-]+)", selector))
    return bool(named & classes) if named else selector.startswith("svg")


if __name__ == "__main__":
    report, wanted, target = sys.argv[1:4]
    Path(target).write_text(cut(Path(report).read_text(encoding="utf-8"), wanted), encoding="utf-8")
