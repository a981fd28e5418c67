"""Twin of `detect.risks`: red flags of one person at a time, and depth times duration of neutropenia."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from plain.episodes import DAY, is_below
from plain.results import exact

Row = dict[str, Any]
Tables = Mapping[str, Any]

IMMATURE = {f"{name}{form}" for name in ("metamyelocytes", "myelocytes", "promyelocytes") for form in ("", "_pct")}
ABSENT = {"none", "none seen", "none detected", "not seen", "not detected", "neg", "negative", "absent", "normal"}
WHITE = {"wbc", "neutrophils", "lymphocytes"}


def risks(
    counts: list[Row],
    doubtful: list[Row],
    findings: list[Row],
    exposures: list[Row],
    knowledge: Tables,
    policy: Mapping[str, str],
) -> list[Row]:
    """Every red flag of every person, with its first and last time."""
    made = []
    for one in {row["patient_id"] for row in (*counts, *doubtful, *findings)}:
        flags = [
            *_by_counts(_of(counts, one), _of(findings, one), _of(exposures, one), knowledge, policy),
            *_film(_of(findings, one)),
            *_doubtful(_of(doubtful, one)),
        ]
        made += [{"patient_id": one} | flag for flag in flags]
    return made


def _of(rows: list[Row], patient: Any) -> list[Row]:
    return [row for row in rows if row["patient_id"] == patient]


def _by_counts(
    counts: list[Row], findings: list[Row], exposures: list[Row], knowledge: Tables, policy: Mapping[str, str]
) -> Iterator[Row]:
    neutrophils = [row for row in counts if row["analyte"] == "neutrophils" and row["comparator"] not in (">", ">=")]
    last = max((row["minute"] for row in neutrophils), default=0)
    fevers = {rule["definition"]: _fevers(findings, rule) for rule in knowledge["febrile_neutropenia"]}
    for rule in knowledge["agranulocytosis"]:
        yield from _agranulocytosis(neutrophils, fevers, rule, policy, last)
    for rule in knowledge["febrile_neutropenia"]:
        yield from _febrile(neutrophils, fevers[rule["definition"]], rule, policy, last)
    yield from _on_suspect_drug(neutrophils, exposures, knowledge, policy, last)
    yield from _cytopenia(counts)


def _doubtful(doubtful: list[Row]) -> Iterator[Row]:
    latest = max((row["minute"] for row in doubtful), default=0)
    for name, definition, detail in (
        ("conflict", "conflicting_results", "two results of one time disagree"),
        ("unit_repaired", "thousandfold_unit", "unit wrong by a factor of a thousand"),
    ):
        times = [row["minute"] for row in doubtful if row[name]]
        yield from _flag("count_may_not_be_real", definition, times, latest, detail)


def _flag(kind: str, definition: str, times: list[int], last: int, detail: str, source: str = "") -> Iterator[Row]:
    if times:
        yield {
            "kind": kind,
            "definition": definition,
            "minute": min(times),
            "last_minute": max(times),
            "detail": detail,
            "source_id": source,
            "ongoing": max(times) == last,
        }


def _below(row: Row, limit: str, inclusive: bool = False) -> bool:
    return bool(is_below(row["value"], row["comparator"], float(limit))) or (inclusive and row["value"] == float(limit))


def _agranulocytosis(
    neutrophils: list[Row],
    fevers: Mapping[str, list[int]],
    rule: Mapping[str, str],
    policy: Mapping[str, str],
    last: int,
) -> Iterator[Row]:
    times = [row["minute"] for row in neutrophils if _below(row, rule["below"])]
    detail = f"neutrophils below {rule['below']} x 10^9/L"
    if int(rule["counts"]) > 1:
        detail += f", {rule['counts']} counts"
        times = times if len(times) >= int(rule["counts"]) else []
    if rule["fever_as"]:
        detail += f", with fever as {rule['fever_as']} has it"
        times = _near(times, fevers[rule["fever_as"]], policy["fever.window_minutes"])
    yield from _flag("agranulocytosis", rule["definition"], times, last, detail, rule["source_id"])


def _near(times: list[int], fevers: list[int], window: str) -> list[int]:
    return [time for time in times if any(abs(time - fever) <= float(window) for fever in fevers)]


def _febrile(
    neutrophils: list[Row], fevers: list[int], rule: Mapping[str, str], policy: Mapping[str, str], last: int
) -> Iterator[Row]:
    low = [row["minute"] for row in neutrophils if _below(row, rule["anc_below"], rule["anc_inclusive"] == "1")]
    times = _near(low, fevers, rule["window_minutes"] or policy["fever.window_minutes"])
    severe = float(rule["anc_below"]) <= 0.5
    kind = "severe_neutropenia_with_fever" if severe else "febrile_neutropenia"
    detail = f"fever and neutrophils below {rule['anc_below']}"
    yield from _flag(kind, rule["definition"], times, last, detail, rule["source_id"])


def _fevers(findings: list[Row], rule: Mapping[str, str]) -> list[int]:
    """When there was fever: one reading high enough, or a rise that lasts."""
    highest: dict[int, float] = {}
    for row in findings:
        if row["finding"] == "temperature" and row["value"] is not None:
            highest[row["minute"]] = max(row["value"], highest.get(row["minute"], row["value"]))
    return [time for time, value in highest.items() if _hot(value, rule) or _sustained(time, highest, rule)]


def _reaches(value: float, limit: str, inclusive: str) -> bool:
    return bool(limit) and (value > float(limit) or (inclusive == "1" and value == float(limit)))


def _hot(value: float, rule: Mapping[str, str]) -> bool:
    return _reaches(value, rule["single_temperature_above"], rule["single_inclusive"])


def _sustained(time: int, highest: Mapping[int, float], rule: Mapping[str, str]) -> bool:
    """Raised long enough after a first raised reading of the same day, with none in between that was not."""
    for earlier in highest:
        between = [value for at, value in highest.items() if earlier <= at <= time]
        long_enough = earlier < time and int(rule["sustained_minutes"] or 0) <= time - earlier <= DAY
        if long_enough and all(
            _reaches(value, rule["sustained_temperature_from"], rule["sustained_inclusive"]) for value in between
        ):
            return True
    return False


def _on_suspect_drug(
    neutrophils: list[Row], exposures: list[Row], knowledge: Tables, policy: Mapping[str, str], last: int
) -> Iterator[Row]:
    severe = next(row for row in knowledge["severity"] if row["severity"] == "severe")
    carry = float(policy["risk.carry_days"]) * DAY
    for suspect in {row["ingredient"] for row in knowledge["agranulocytosis_drugs"]}:
        taken = [(row["start"], row["end"] + carry) for row in exposures if row["ingredient"] == suspect]
        times = [
            row["minute"]
            for row in neutrophils
            if _below(row, severe["below"]) and any(start <= row["minute"] <= end for start, end in taken)
        ]
        definition = f"neutrophils below {severe['below']}"
        yield from _flag("neutropenia_on_suspect_drug", definition, times, last, suspect, severe["source_id"])


def _cytopenia(counts: list[Row]) -> Iterator[Row]:
    draws: dict[int, set[str]] = {}
    for row in counts:
        low = draws.setdefault(row["minute"], set())
        if row["is_low"]:
            low |= {"white" if row["analyte"] in WHITE else row["analyte"]} & {
                "white",
                "haemoglobin",
                "platelets",
            }
    for kind, n, detail in (
        ("pancytopenia", 3, "white cells, haemoglobin and platelets low in one draw"),
        ("bicytopenia", 2, "white cells and one other line low in one draw"),
    ):
        times = [minute for minute, low in draws.items() if "white" in low and len(low) == n]
        yield from _flag(kind, "below the limits in force", times, max(draws, default=0), detail)


def _film(findings: list[Row]) -> Iterator[Row]:
    def times(names: set[str], seen_only: bool) -> set[int]:
        return {row["minute"] for row in findings if row["finding"] in names and (_seen(row) or not seen_only)}

    def flag(kind: str, definition: str, detail: str, *groups: set[str]) -> Iterator[Row]:
        together = set.intersection(*(times(group, True) for group in groups))
        looked = max(times(set.union(*groups), False), default=0)
        yield from _flag(kind, definition, sorted(together), looked, detail)

    yield from flag("blasts", "blasts reported", "blasts in the blood", {"blasts", "blasts_pct"})
    detail = "immature granulocytes and nucleated red cells in one draw"
    yield from flag("leukoerythroblastic", "both reported", detail, IMMATURE, {"nucleated_red_cells"})
    detail = "clumps: platelets, and at times white cells, miscounted"
    yield from flag("count_may_not_be_real", "platelet_clumps", detail, {"platelet_clumps"})


def _seen(finding: Row) -> bool:
    """More than none, as a number or in words."""
    if finding["value"] is not None:
        return bool(finding["value"] > 0)
    return finding["text"] is not None and finding["text"].strip(" .,;:!*").lower() not in ABSENT


def infection_risk(
    episodes: Iterable[Row],
    seen: Iterable[Row],
    severities: Iterable[Mapping[str, str]],
    policy: Mapping[str, str],
) -> list[Row]:
    """Days below severe and profound, and depth x duration, per neutrophil episode.

    `episodes` carry `rows`, their counts from onset until the next one; `seen` are all counts of the line:
    a count speaks only until the next.
    """
    limits = {row["severity"]: row["below"] for row in severities}
    carry = int(float(policy["risk.carry_days"]) * DAY)
    every = [row for row in seen if row["analyte"] == "neutrophils"]
    made = []
    for episode in episodes:
        if episode["analyte"] != "neutrophils":
            continue
        times = sorted(row["minute"] for row in every if row["patient_id"] == episode["patient_id"])
        spans = [(row, _span(row["minute"], times, carry)) for row in episode["rows"]]
        deficit = sum(
            (exact(float(limits["severe"])) - exact(row["value"])) * span
            for row, span in spans
            if _below(row, limits["severe"])
        )
        made.append(
            {
                "episode_id": f"{episode['patient_id']}/neutrophils/{episode['number']}",
                "days_severe": _days(span for row, span in spans if _below(row, limits["severe"])),
                "days_profound": _days(span for row, span in spans if _below(row, limits["profound"])),
                "deficit": float(Fraction(deficit) / DAY),
            }
        )
    return made


def _span(minute: int, times: list[int], carry: int) -> int:
    later = [time for time in times if time > minute]
    return min(later[0] - minute, carry) if later else 0


def _days(spans: Iterable[int]) -> float:
    return float(Fraction(sum(spans), DAY))
