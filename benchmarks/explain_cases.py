"""Published patients: does the ranking name the cause that the authors named, and are its probabilities honest?

    python benchmarks/explain_cases.py CASES [--fit]

CASES is the folder of cases with its crosswalk and blinding script (see its README). Every figure under `leave-one-out`
comes from scales that were fitted without the case they are judged on. `--fit` prints the scales fitted to all cases.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import yaml
from scipy.optimize import minimize

from leukopenia import answers, knowledge
from leukopenia.policy import Policy

MODES = ("presentation", "workup", "course")
SCALES = ("prior", "background", "timing", "lineage", "clues", "chronic", "unexplained")
START = {
    "prior": 1.0,
    "background": 0.0,
    "timing": 1.0,
    "lineage": 1.0,
    "clues": 1.0,
    "chronic": 0.0,
    "unexplained": 0.0,
}
SPREAD = {
    "prior": 0.3,
    "background": 1.5,
    "timing": 0.3,
    "lineage": 0.3,
    "clues": 0.3,
    "chronic": 1.0,
    "unexplained": 1.0,
}
"""How far the fit may draw a scale from its start: standard deviations of a normal prior on each."""

NEUTRAL = {
    "explain.prior_scale": 1,
    "explain.timing_scale": 1,
    "explain.lineage_scale": 1,
    "explain.clue_scale": 1,
    "explain.temperature": 1,
    "explain.background_rate": 0.02,
    "explain.untold_rate": 0,
}
"""The policy before any case was seen: what is fitted with a case left out starts from here."""

ADDED = {
    "case-049": {"condition_phrases": ("radiation", "gamma rays", "neutron radiation", "irradiated", "irradiation")},
    "case-121": {"condition_phrases": ("radiation", "gamma rays", "neutron radiation", "irradiated", "irradiation")},
    "case-097": {"clues": ("myeloproliferative_history",)},
    "case-059": {"clues": ("rises_within_a_day",)},
    "case-034": {"backgrounds": ("cond:malaria", "cond:dengue")},
}
"""What was added after a case had been read; a case is judged without what it has taught."""

FORMERLY = {"cond:malaria": "0.003", "cond:dengue": "0.003"}

COURSE = ("clues", "course", "rechallenge", "dose", "history", "interaction")


@dataclass(frozen=True)
class Judged:
    """One case: a row of features for each candidate, which are right, and which the authors cleared."""

    id: str
    causes: list[str]
    features: np.ndarray
    given: np.ndarray
    right: np.ndarray
    cleared: np.ndarray
    tags: frozenset[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--fit", action="store_true")
    args = parser.parse_args()
    blinding, scoring = (_module(args.cases / f"{name}.py") for name in ("blind_view", "score_cases"))
    documents = [
        yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((args.cases / "dev").glob("case-*.yaml"))
    ]
    walk = scoring.crosswalk()
    for mode in MODES:
        for starts in (True, False) if mode == "presentation" else (True,):
            name = mode if starts else f"{mode}, without drug starts"
            print(f"\n{name}")
            shipped = _answered(documents, blinding, mode, starts, Policy.of())
            judged = [_judged(found, document, walk, scoring) for found, document in shipped]
            _report("as shipped", judged, [case.given for case in judged])
            if mode == "presentation" and starts:
                plain = _answered_unseen(documents, blinding)
                _calibration([_judged(found, document, walk, scoring) for found, document in plain], args.fit)
                _naive(documents, walk, scoring)


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _answered(
    documents: Sequence[Mapping[str, Any]], blinding: ModuleType, mode: str, starts: bool, policy: Policy
) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        for document in documents:
            text = yaml.safe_dump(blinding.blind(document, mode, starts), sort_keys=False, allow_unicode=True)
            (Path(folder) / f"{document['id']}.yaml").write_text(text, encoding="utf-8")
        found = {answer["id"]: answer for answer in answers.of_cases(Path(folder), policy)}
    return [(found[document["id"]], document) for document in documents]


def _taught_nothing(case: str) -> dict[str, Any]:
    """The knowledge without the rows that this case has led to."""
    added = ADDED[case]
    tables: dict[str, Any] = dict(knowledge.load())
    for name, column in (
        ("condition_phrases", "phrase"),
        ("clues", "clue"),
        ("clue_weights", "clue"),
        ("clue_phrases", "clue"),
    ):
        gone = added.get("condition_phrases" if name == "condition_phrases" else "clues", ())
        tables[name] = tuple(row for row in tables[name] if row[column] not in gone)
    tables["causes_conditions"] = tuple(
        {**row, "background": FORMERLY[row["id"]]} if row["id"] in added.get("backgrounds", ()) else row
        for row in tables["causes_conditions"]
    )
    return tables


def _answered_unseen(documents: Sequence[Mapping[str, Any]], blinding: ModuleType) -> Any:
    """Answers under the neutral policy, each case without what it has taught."""
    plain = Policy.of(NEUTRAL)
    found = dict(
        zip((d["id"] for d in documents), _answered(documents, blinding, "presentation", True, plain), strict=True)
    )
    load = knowledge.load
    for document in documents:
        if document["id"] in ADDED:
            tables = _taught_nothing(document["id"])
            answers.knowledge.load = lambda tables=tables: tables  # type: ignore[assignment,misc]
            found[document["id"]] = _answered([document], blinding, "presentation", True, plain)[0]
            answers.knowledge.load = load
    return list(found.values())


def _judged(
    answer: Mapping[str, Any], document: Mapping[str, Any], walk: Mapping[str, set[str]], scoring: ModuleType
) -> Judged:
    truth = document["truth"]
    right: set[str] = set().union(
        *(scoring.accepted(str(cause), walk) for cause in [truth["cause_id"], *(truth.get("co_causes") or [])])
    )
    cleared: set[str] = (
        set().union(*(scoring.accepted(str(cause), walk) for cause in truth.get("exonerated") or [])) - right
    )
    causes = [cause["cause_id"] for cause in answer["causes"]]
    return Judged(
        document["id"],
        causes,
        np.array([_features(cause) for cause in answer["causes"]]),
        np.array([cause["probability"] for cause in answer["causes"]]),
        np.array([cause in right for cause in causes]),
        np.array([cause in cleared for cause in causes]),
        frozenset(document.get("tags") or []),
    )


def _features(cause: Mapping[str, Any]) -> list[float]:
    """What each scale multiplies."""
    terms = cause["contributions"]
    acute = {row["id"] for row in knowledge.load()["causes_conditions"] if row["acute"] == "yes"}
    return [
        terms["prior"],
        float(cause["because"] in ("suggested", "always", "unexplained")),
        terms["timing"],
        terms["lineage"],
        sum(terms[name] for name in COURSE),
        float(cause["because"] == "recorded" and cause["cause_id"] not in acute),
        float(cause["because"] == "unexplained"),
    ]


def _probabilities(case: Judged, scales: Mapping[str, float]) -> np.ndarray:
    score = case.features @ np.array([scales[name] for name in SCALES])
    weight = np.exp(score - score.max())
    return weight / weight.sum()


def _loss(point: np.ndarray, cases: Sequence[Judged]) -> float:
    scales = dict(zip(SCALES, point, strict=True))
    held = sum(((scales[name] - START[name]) / SPREAD[name]) ** 2 / 2 for name in SCALES)
    return held - sum(math.log(max(_probabilities(case, scales)[case.right].sum(), 1e-3)) for case in cases)


def _fit(cases: Sequence[Judged]) -> dict[str, float]:
    found = minimize(
        _loss,
        np.array([START[name] for name in SCALES]),
        args=(cases,),
        method="Nelder-Mead",
        options={"maxiter": 1500, "fatol": 1e-3},
    )
    return dict(zip(SCALES, found.x, strict=True))


def _calibration(judged: Sequence[Judged], fit: bool) -> None:
    left_out = [_probabilities(case, _fit([other for other in judged if other is not case])) for case in judged]
    _report("leave-one-out", judged, left_out)
    _reliability(judged, left_out)
    prior_alone = START | dict.fromkeys(("timing", "lineage", "clues"), 0.0)
    _report("priors alone", judged, [_probabilities(case, prior_alone) for case in judged])
    if fit:
        print("  scales fitted to all cases:", {name: round(value, 3) for name, value in _fit(judged).items()})


def _report(name: str, judged: Sequence[Judged], given: Sequence[np.ndarray]) -> None:
    for tag in ("", "confounded", "negative-drug"):
        part = [(case, p) for case, p in zip(judged, given, strict=True) if not tag or tag in case.tags]
        print(
            f"  {name:15} {tag or 'all':14} n {len(part):3}"
            f"  top-1 {_mean(part, lambda case, p: _among(case, p, 1)):.3f}"
            f"  top-3 {_mean(part, lambda case, p: _among(case, p, 3)):.3f}"
            f"  cleared first {sum(_cleared_first(case, p) for case, p in part)}"
            f"  log {_mean(part, lambda case, p: math.log(max(p[case.right].sum(), 1e-3))):.3f}"
            f"  Brier {_mean(part, lambda case, p: (1 - p[case.right].sum()) ** 2 + (p[~case.right] ** 2).sum()):.3f}"
        )


def _mean(part: Sequence[tuple[Judged, np.ndarray]], measure: Callable[[Judged, np.ndarray], float]) -> float:
    return float(np.mean([measure(case, p) for case, p in part]))


def _naive(documents: Sequence[Mapping[str, Any]], walk: Mapping[str, set[str]], scoring: ModuleType) -> None:
    """Blame the drug with the latest known start before the low count."""
    right = 0
    words = {row["name"]: row["ingredient"] for row in knowledge.load()["ingredient_names"]}
    for document in documents:
        truth = document["truth"]
        accepted = set().union(
            *(scoring.accepted(str(c), walk) for c in [truth["cause_id"], *(truth.get("co_causes") or [])])
        )
        zero = document["index"]["day"] or 0
        drugs = [
            e
            for e in document["events"]
            if e["kind"] == "drug" and e["phase"] != "after" and e.get("start_day") is not None
        ]
        begun = [e for e in drugs if e["start_day"] <= zero]
        if begun:
            name = str(max(begun, key=lambda e: e["start_day"])["name"]).lower()
            right += words.get(name, f"drug:{name}") in accepted
    print(f"  naive (the drug begun last): top-1 {right / len(documents):.3f}")


def _order(case: Judged, given: np.ndarray) -> list[int]:
    return [int(i) for i in np.argsort(-given, kind="stable") if case.causes[i] != "unexplained"]


def _among(case: Judged, given: np.ndarray, first: int) -> float:
    return float(any(case.right[i] for i in _order(case, given)[:first]))


def _cleared_first(case: Judged, given: np.ndarray) -> bool:
    return bool(case.cleared[_order(case, given)[0]])


def _reliability(judged: Sequence[Judged], given: Sequence[np.ndarray]) -> None:
    print("  reliability (leave-one-out): probability given, share right, n")
    pairs = [(p, ok) for case, ps in zip(judged, given, strict=True) for p, ok in zip(ps, case.right, strict=True)]
    for low, high in ((0, 0.02), (0.02, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 0.85), (0.85, 1.01)):
        inside = [(p, ok) for p, ok in pairs if low <= p < high]
        if inside:
            print(f"    {np.mean([p for p, _ in inside]):.3f}  {np.mean([ok for _, ok in inside]):.3f}  {len(inside)}")


if __name__ == "__main__":
    main()
