"""Random records round low counts, and a small random knowledge to explain them with."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

from hypothesis import strategies as st
from running import KNOWLEDGE, Case, Row

from leukopenia.explain.evidence import PATTERN

DAY = 1440
START = 10_000 * DAY
DRUGS = ("alkyl", "anthra", "purine", "cefa", "cefb", "anti20", "vitamin", "other")
CONDITIONS = ("cytotoxic-chemotherapy", "virus", "lupus", "constitutional", "leukaemia", "rare", "feverish")
LINEAGES = ("neutrophil", "lymphocyte", "all", "pancytopenia")
STRENGTHS = ("weak", "moderate", "strong", "decisive")
ATC = {"alkyl": "L01AA01", "anthra": "L01AA02", "purine": "L04AX01", "cefa": "J01DD04;X", "cefb": "J01DD08"}
CRITERIA = (
    ("fever", "finding", "temperature", "at_or_above", "38.3", "-3", "3", ""),
    ("bands", "finding", "bands", "above", "0.1", "-3", "3", ""),
    ("rising_crp", "finding", "crp", "range_high", "", "-3", "7", ""),
    ("copper_low", "finding", "copper", "range_low", "", "-30", "30", "male"),
    ("film_blasts", "finding", "blasts", "present", "", "-30", "30", ""),
    ("lymphocytosis", "count", "lymphocytes", "above", "4", "-7", "14", "female"),
    ("red_cells_below", "count", "haemoglobin", "range_low", "", "-3", "3", ""),
    ("platelets_above", "count", "platelets", "at_or_below", "150", "-3", "3", "male"),
    ("platelets_above", "count", "platelets", "range_high", "", "-3", "3", ""),
    ("chemotherapy_recent", "exposure", "group:chemotherapy", "present", "", "-42", "0", ""),
    ("spleen", "condition", "cond:lupus", "present", "", "-365", "30", ""),
    ("diet", "condition", "cond:elsewhere", "present", "", "-30", "0", ""),
    ("vitamin_taken", "exposure", "drug:vitamin", "present", "", "-30", "0", ""),
)
MEASURED = sorted({row[0] for row in CRITERIA})
OWN = {
    "recovered_after_stop": "course",
    "recovered_while_continued": "course",
    "no_recovery_after_stop": "course",
    "started_after_onset": "course",
    "stopped_long_before": "course",
    "rechallenge_positive": "rechallenge",
    "similar_before": "history",
    "dose_increased": "dose",
    "confirmed": "clues",
}

AFTER_STOP = {
    "chemotherapy": ("14", "45"),
    "biologic": ("200",),
    **dict.fromkeys(("immunosuppressant", "idiosyncratic", "other"), ("", "0", "14")),
}
LATENCIES = (
    ("5", "10", "21"),
    ("7", "", "180"),
    ("0", "", "10"),
    ("", "30", ""),
    ("", "", ""),
    ("20", "", "22"),
    ("1", "20", "2000"),
)

POLICIES: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (("explain.prior_scale", "0.7"), ("explain.timing_scale", "1.3"), ("explain.temperature", "2")),
    (("explain.clue_scale", "0.5"), ("explain.lineage_scale", "0.4"), ("explain.late_share", "0")),
    (("explain.window_days", "30"), ("explain.analytes", "wbc;neutrophils"), ("explain.suggests", "2")),
    (
        ("explain.after_stop_days", "3"),
        ("explain.recovery_days", "10"),
        ("explain.doubt", "0.9"),
        ("explain.chronic_share", "1"),
        ("explain.window_doubt", "0.5"),
        ("explain.untold_rate", "0"),
    ),
)
"""The knowledge of a case goes by its policy: number n of both."""


def _knowledge(seed: int) -> dict[str, Any]:
    chance = random.Random(seed)
    drugs, conditions = _drugs(chance), _conditions(chance)
    groups = {"alkyl": "chemotherapy", "anthra": "chemotherapy;other", "purine": "g_csf"}
    named = [f"drug:{name}" for name in DRUGS[:-1]]
    ingredients = [
        {"id": one, "atc": ATC.get(one[5:], ""), "groups": groups.get(one[5:], "")} for one in (*named, "drug:stranger")
    ]
    targets = [
        *(row["id"] for row in (*drugs, *conditions)),
        *(f"class:{name}" for name in ("chemotherapy", "idiosyncratic", "autoimmune", "neoplasm", "empty")),
        *(f"lineage:{name}" for name in LINEAGES),
        *("kind:drug", "kind:condition", "kind:exposure"),
    ]
    return {
        **KNOWLEDGE,
        "causes_drugs": drugs,
        "causes_conditions": conditions,
        "ingredients": ingredients,
        "strengths": [{"strength": name, "nats": str(0.3 + 1.7 * n)} for n, name in enumerate(STRENGTHS)],
        "lineages": [
            {"lineage": lineage, "line": line, "p_low": str(chance.choice([0.1, 0.35, 0.6, 0.95]))}
            for lineage in (*LINEAGES, "none", "background")
            for line in ("neutrophils", "lymphocytes", "haemoglobin", "platelets")
        ],
        "clue_criteria": [
            dict(
                zip(
                    ("clue", "source", "signal", "operator", "limit", "from_days", "to_days", "sex"),
                    row,
                    strict=True,
                )
            )
            for row in CRITERIA
        ],
        "clue_weights": _weights(chance, targets),
        "clues": [
            {"clue": clue, "group": chance.choice(["line", "severity", "sign", "test", "finding"])}
            for clue in (*PATTERN, *MEASURED, "told")
        ],
        "interactions": _interactions(chance),
    }


def _drugs(chance: random.Random) -> list[Row]:
    classes = ("chemotherapy", "chemotherapy", "immunosuppressant", "idiosyncratic", "idiosyncratic", "biologic")
    made = []
    for name, its_class in zip(DRUGS, (*classes, "other", "idiosyncratic"), strict=True):
        days = chance.choice(LATENCIES)
        made.append(
            _cause(f"drug:{name}", "drug", its_class, chance)
            | {f"onset_days_{part}": day for part, day in zip(("min", "median", "max"), days, strict=True)}
            | {
                "lineage": "none" if name == "vitamin" else chance.choice(LINEAGES),
                "onset_from": "last_dose" if name in ("alkyl", "anthra", "anti20") else "start",
                "after_stop_days": chance.choice(AFTER_STOP[its_class]),
            }
        )
    return made


def _conditions(chance: random.Random) -> list[Row]:
    classes = ("iatrogenic", "infection_viral", "autoimmune", "constitutional", "neoplasm", "autoimmune", "state")
    return [
        _cause(f"cond:{name}", "exposure" if name == "rare" else "condition", its_class, chance)
        | {
            "lineage": "none" if name == "feverish" else chance.choice(LINEAGES),
            "background": "" if name == "rare" else chance.choice(["0.1", "0.003"]),
            "always": "yes" if name in ("virus", "constitutional") else "",
            "acute": "yes" if name in ("virus", "feverish", "rare") else "",
            "onset_days_max": chance.choice(["", "5", "30"]),
        }
        for name, its_class in zip(CONDITIONS, classes, strict=True)
    ]


def _cause(one: str, kind: str, its_class: str, chance: random.Random) -> Row:
    blank = ("onset_days_min", "onset_days_median", "onset_days_max", "onset_from", "after_stop_days", "background")
    return {
        **dict.fromkeys((*blank, "always", "acute"), ""),
        **{"id": one, "kind": kind, "cause_class": its_class},
        "frequency": chance.choice(["", "0.3", "0.003", "0.0005"]),
        "recovery_days_max": chance.choice(["", "", "45"]),
    }


def _weights(chance: random.Random, targets: list[str]) -> list[Row]:
    clues = (*PATTERN, *MEASURED, "told")
    chosen = {
        pair for clue in clues for pair in chance.sample(list(product([clue], ("present", "absent"), targets)), 4)
    }
    chosen |= {(clue, "present", target) for clue, target in ITSELF}
    own = [(clue, "present", "self") for clue in OWN if chance.random() < 0.8] + [("confirmed", "absent", "self")]
    return [
        {
            "clue": clue,
            "state": state,
            "target": target,
            "factor": OWN[clue] if target == "self" else chance.choice(["clues", "history"]),
            "direction": chance.choice(["for", "against"]),
            "strength": chance.choice(STRENGTHS),
            "source_id": f"source-{number}",
        }
        for number, (clue, state, target) in enumerate(sorted({*chosen, *own}))
    ]


def _interactions(chance: random.Random) -> list[Row]:
    causes = ("drug:purine", "drug:cefa", "drug:stranger", "cond:lupus", "unexplained")
    partners = ("drug:cefb", "drug:purine", "cond:virus", "cond:lupus", "told", "lymphopenia", "severe")
    pairs = chance.sample([(one, other) for one in causes for other in partners if one != other], 14)
    return [
        {"cause": one, "partner": other, "strength": chance.choice(STRENGTHS), "source_id": "design"}
        for one, other in sorted(pairs)
    ]


ITSELF = (
    ("spleen", "cond:lupus"),
    ("chemotherapy_recent", "drug:alkyl"),
    ("told", "drug:cefa"),
    ("told", "cond:virus"),
)
"""Clues that may rest on the very record of their cause."""

TOLD = ("rechallenge_positive", "recovered_after_stop")

KNOWLEDGES = [_knowledge(seed) for seed in range(len(POLICIES))]

POOLS = (
    (*DRUGS[:-1], "stranger"),
    ("alkyl", "anthra"),
    ("alkyl", "anthra"),
    ("cefa", "cefb"),
    ("purine", "cefa", "cefb", "stranger"),
    ("cefa",),
    ("purine",),
)
STEPS = (13 * DAY, 14 * DAY, 21 * DAY, 35 * DAY, 35 * DAY + 1, 60 * DAY, 200 * DAY)
NEAR = (-61, -60, -30, -4, -3, -1, 0, 0, 1, 2, 3, 4, 7)
EDGES = (-1, 0, 0, 0, 1, 600)


@st.composite
def explain_cases(draw: Any) -> Case:
    """One or two persons with episodes; counts, findings, drugs, conditions and words round them."""
    lines = draw(
        st.sampled_from(
            [[(1, "neutrophils")], [(1, "neutrophils"), (1, "wbc")], [(1, "lymphocytes"), (2, "neutrophils")]]
        )
    )
    episodes = [row for patient, analyte in lines for row in _episodes(draw, patient, analyte)]
    onsets = [row["onset"] for row in episodes] + [row["nadir_minute"] for row in episodes]
    # Spans lie on the days on which something happens: onset, recovery, the last normal count.
    times = [
        row[name]
        for row in episodes
        for name in ("onset", "recovery", "last_not_low", "last_low")
        if row[name] is not None
    ]
    tables = {
        "episodes": episodes,
        "lines": _lines(draw, onsets),
        "findings": [_finding(draw, onsets, number) for number in range(draw(st.integers(0, 6)))],
        "exposures": _exposures(draw, times),
        "conditions": [_condition(draw, times, number) for number in range(draw(st.integers(0, 4)))],
        "patients": _patients(draw),
        "mentions": [_mention(draw, number) for number in range(draw(st.integers(0, 4)))],
    }
    choice = draw(st.integers(0, len(POLICIES) - 1))
    return Case(tables, choice % 2 == 0, POLICIES[choice])


def _episodes(draw: Any, patient: int, analyte: str) -> list[Row]:
    made = []
    onset = START + draw(st.sampled_from([0, 0, DAY]))
    for number in range(1, draw(st.sampled_from([1, 1, 2, 3, 4])) + 1):
        row = _episode(draw, onset)
        made.append(row | {"patient_id": patient, "analyte": analyte, "number": number})
        onset += draw(st.sampled_from(STEPS))
    return made


def _episode(draw: Any, onset: int) -> Row:
    nadir = onset + draw(st.sampled_from([0, 0, 2 * DAY, 60 * DAY, 60 * DAY + 1]))
    last_low = nadir + draw(st.sampled_from([0, 5 * DAY, 100 * DAY]))
    n_low = draw(st.integers(1, 3))
    return {
        "onset": onset,
        "last_not_low": draw(
            st.sampled_from([None, onset - 1, onset - 10 * DAY, onset - 365 * DAY, onset - 366 * DAY])
        ),
        "nadir": draw(st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.5, 0.8, 1.0, 2.5])),
        "nadir_comparator": draw(st.sampled_from(["", "", "", "<", "<=", ">="])),
        "nadir_minute": nadir,
        "last_low": last_low,
        "recovery": draw(st.sampled_from([None, last_low + DAY, last_low + 20 * DAY])),
        "n_low": n_low,
        "n_counts": n_low + draw(st.sampled_from([0, 0, 1])),
        "chronicity": draw(st.sampled_from(["acute", "chronic"])),
        **{"state": "open", "confirmed": True, "unobserved_gap": False, "severity": "", "basis": "published"},
        **{f"worst_{name}": None for name in ("ctcae_4_03", "ctcae_5_0", "ctcae_6_0", "daids_2_1")},
        "worst_at_least": False,
    }


def _lines(draw: Any, onsets: list[int]) -> list[Row]:
    made: dict[tuple[Any, ...], Row] = {}
    for _ in range(draw(st.integers(0, 12))):
        value = draw(st.sampled_from([None, 0.2, 1.0, 1.6, 4.0, 4.1, 90.0, 150.0, 200.0]))
        low, high = draw(st.sampled_from([(None, None), (1.5, 4.0), (100.0, 160.0), (1.5, None), (None, 4.0)]))
        row = {
            "patient_id": draw(st.sampled_from([1, 1, 1, 2])),
            "analyte": draw(st.sampled_from(["neutrophils", "wbc", "lymphocytes", "haemoglobin", "platelets"])),
            "minute": _time(draw, onsets),
            "value": value,
            "limit_low": low,
            "limit_high": high,
            "is_low": draw(st.sampled_from([True, True, False, False, None])),
        }
        made[row["patient_id"], row["analyte"], row["minute"]] = row
    return list(made.values())


def _time(draw: Any, times: list[int]) -> int:
    near = int(draw(st.sampled_from(times))) + draw(st.sampled_from(NEAR)) * DAY
    return near + draw(st.sampled_from(EDGES))


def _finding(draw: Any, onsets: list[int], number: int) -> Row:
    return {
        "patient_id": draw(st.sampled_from([1, 1, 1, 2])),
        "finding": draw(st.sampled_from(["temperature", "bands", "crp", "copper", "blasts", "sodium"])),
        "minute": _time(draw, onsets),
        "time_precision": "minute",
        "value": draw(st.sampled_from([None, 0.0, 0.1, 0.3, 38.2, 38.3, 40.0])),
        "text": None,
        "range": draw(st.sampled_from(["", "low", "normal", "high"])),
        **{"source": draw(st.sampled_from(["a", "b"])), "row_id": number},
    }


def _exposures(draw: Any, times: list[int]) -> list[Row]:
    made: dict[tuple[Any, ...], Row] = {}
    pool = draw(st.sampled_from(POOLS))
    for number in range(draw(st.integers(0, 7))):
        row = _exposure(draw, pool, times, number)
        made[row["patient_id"], row["ingredient"], row["start"]] = row
    return list(made.values())


def _exposure(draw: Any, pool: tuple[str, ...], times: list[int], number: int) -> Row:
    start, end = _span(draw, times, (-400, -200, -42, -42, -14, -1, 0, 29, 31))
    return {
        "patient_id": draw(st.sampled_from([1, 1, 1, 2])),
        "ingredient": f"drug:{draw(st.sampled_from(pool))}",
        "start": start,
        "end": end,
        **{"status": "administered", "route": "systemic", "rows": 1},
        "dose": draw(st.sampled_from([None, 50.0, 100.0])),
        "dose_unit": draw(st.sampled_from(["mg", "mg", ""])),
        **{"source": draw(st.sampled_from(["a", "b"])), "row_id": number},
    }


def _span(draw: Any, times: list[int], days: tuple[int, ...]) -> tuple[int | None, int | None]:
    start = int(draw(st.sampled_from(times))) + draw(st.sampled_from(days)) * DAY + draw(st.sampled_from(EDGES))
    stop = int(draw(st.sampled_from(times))) + draw(st.sampled_from([-45, -30, -30, -10, -7, 0, 3])) * DAY
    ends = [start, start, start + DAY, start + 14 * DAY, start + 60 * DAY + 1, max(start, stop), max(start, stop)]
    end = draw(st.sampled_from(ends))
    kind = draw(st.sampled_from(["both", "both", "both", "both", "open", "unknown", "never"]))
    return (
        start if kind in ("both", "open") else None,
        end if kind in ("both", "unknown") else None,
    )


def _condition(draw: Any, times: list[int], number: int) -> Row:
    start, end = _span(draw, times, (-400, -42, -14, -5, 0, 14, 15, 30, 31))
    return {
        "patient_id": draw(st.sampled_from([1, 1, 1, 2])),
        "condition": f"cond:{draw(st.sampled_from([*CONDITIONS, 'virus', 'rare', 'elsewhere']))}",
        "start": start,
        "end": end,
        "certainty": draw(st.sampled_from(["", "confirmed", "provisional", "past"])),
        **{"source": draw(st.sampled_from(["a", "b"])), "row_id": number},
    }


def _patients(draw: Any) -> list[Row]:
    ages = (None, -DAY, 0, 28 * DAY - 1, 28 * DAY, 912 * DAY, 18 * 365 * DAY, 65 * 365 * DAY)
    return [
        {
            "patient_id": patient,
            "sex": draw(st.sampled_from(["male", "female", "unknown"])),
            "birth": None if (age := draw(st.sampled_from(ages))) is None else START - age,
            **{"birth_precision": "minute", "death": None, "hiv_from": None},
            "duffy_null": draw(st.sampled_from([False, False, True])),
        }
        for patient in draw(st.sampled_from([(1,), (1, 2), (1, 2), ()]))
    ]


def _mention(draw: Any, number: int) -> Row:
    clue, cause = draw(
        st.sampled_from(
            [
                ("told", ""),
                ("fever", ""),
                ("lymphopenia", ""),
                ("chemotherapy_recent", ""),
                *(("confirmed", f"cond:{name}") for name in ("leukaemia", "rare", "lupus", "unheard")),
                *((clue, f"drug:{name}") for clue in TOLD for name in ("cefa", "purine")),
            ]
        )
    )
    return {
        "patient_id": draw(st.sampled_from([1, 1, 1, 2])),
        "clue": clue,
        "cause": cause,
        "state": draw(st.sampled_from(["present", "present", "absent"])),
        "minute": draw(st.sampled_from([None, START, START + DAY])),
        **{"source": draw(st.sampled_from(["a", "b"])), "row_id": number},
    }
