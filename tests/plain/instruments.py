"""Twin of `explain.instruments` and `explain.look_again`: one drug, one question at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import groupby
from typing import Any

Row = dict[str, Any]
Tables = Mapping[str, Any]
Policy = Mapping[str, str]

DAY = 1440
UNEXPLAINED = "unexplained"
COMBINATION = "cond:cytotoxic-chemotherapy"
TERMS = ("prior", "timing", "lineage", "clues", "course", "rechallenge", "dose", "history", "interaction")


def instruments(
    causes: list[Row], evidence: list[Row], episodes: list[Row], knowledge: Tables, policy: Policy
) -> list[Row]:
    """Every item and verdict of every drug."""
    made = []
    for episode in episodes:
        candidates = [row for row in causes if row["episode_id"] == episode["episode_id"]]
        known = [row for row in evidence if row["episode_id"] == episode["episode_id"]]
        for drug in candidates:
            if drug["because"] == "exposure":
                facts = _facts(drug, candidates, known, knowledge, policy)
                made += [{"cause_id": drug["cause_id"]} | row for row in _naranjo(facts, drug, knowledge)]
                made += [{"cause_id": drug["cause_id"]} | row for row in _who_umc(facts, drug)]
                if episode["analyte"] == "neutrophils":
                    made += [{"cause_id": drug["cause_id"]} | row for row in _benichou(facts, drug, episode)]
        for row in made:
            row.setdefault("episode_id", episode["episode_id"])
    return made


def _facts(drug: Row, candidates: list[Row], known: list[Row], knowledge: Tables, policy: Policy) -> Row:
    own = {(row["clue"], row["state"]) for row in known if row["cause_id"] == drug["cause_id"]}
    g_csf = any(row["clue"] == "g_csf_recent" and row["state"] == "present" for row in known)
    return {
        "own": own,
        "g_csf": g_csf,
        "reported": _reported(drug["cause_id"], knowledge),
        "withdrawal": _withdrawal(own, g_csf),
        "other": _other(drug, candidates, known, knowledge, policy),
        "again": _seen(own, "rechallenge_positive", "rechallenge_negative"),
    }


def _reported(drug: str, knowledge: Tables) -> tuple[str, str]:
    for row in knowledge["causes_drugs"]:
        if row["id"] == drug and row["evidence_class"]:
            return ("no" if row["evidence_class"] == "class_only" else "yes"), row["evidence_class"]
    return "unknown", ""


def _seen(own: set[tuple[str, str]], for_it: str, against_it: str = "") -> tuple[str, str]:
    if (for_it, "present") in own:
        return "yes", for_it
    if against_it and (against_it, "present") in own:
        return "no", against_it
    if not against_it and (for_it, "absent") in own:
        return "no", for_it
    return "unknown", ""


def _withdrawal(own: set[tuple[str, str]], g_csf: bool) -> tuple[str, str]:
    if ("recovered_after_stop", "present") in own:
        return ("unknown", "g_csf_recent") if g_csf else ("yes", "recovered_after_stop")
    for clue in ("no_recovery_after_stop", "recovered_while_continued"):
        if (clue, "present") in own:
            return "no", clue
    return ("no", "recovered_after_stop") if ("recovered_after_stop", "absent") in own else ("unknown", "")


def _other(drug: Row, candidates: list[Row], known: list[Row], knowledge: Tables, policy: Policy) -> tuple[str, str]:
    cytotoxic = {row["id"] for row in knowledge["causes_drugs"] if row["cause_class"] == "chemotherapy"}
    none = {drug["cause_id"], UNEXPLAINED} | ({COMBINATION} if drug["cause_id"] in cytotoxic else set())
    rivals = [row for row in candidates if row["cause_id"] not in none]
    for row in sorted(rivals, key=lambda row: row["rank"]):
        if row["probability"] >= float(policy["explain.rival"]):
            return "yes", row["cause_id"]
    clues = [row for row in known if row["factor"] == "clues" and row["cause_id"] not in none]
    absent = {row["clue"] for row in clues if row["state"] == "absent" and row["effect"] < 0}
    if len(absent) >= int(policy["explain.looked_for"]):
        return "no", "looked_for"
    sums = [sum(row["effect"] for row in clues if row["cause_id"] == rival["cause_id"]) for rival in rivals]
    if sums and all(one < -1e-9 for one in sums):
        return "no", "all_contradicted"
    return "unknown", ""


def _naranjo(facts: Row, drug: Row, knowledge: Tables) -> list[Row]:
    start, onset = drug["start"], drug["onset"]
    after = ("unknown", "")
    if start is not None:
        after = ("yes", "started_before_onset") if start <= onset else ("no", "started_after_onset")
    answers = {
        "1": facts["reported"],
        "2": after,
        "3": facts["withdrawal"],
        "4": facts["again"],
        "5": facts["other"],
        "6": ("unknown", ""),
        "7": _seen(facts["own"], "toxic_level"),
        "8": _seen(facts["own"], "dose_increased"),
        "9": _seen(facts["own"], "similar_before"),
        "10": ("yes", "count"),
    }
    rows = {row["item"]: row for row in knowledge["instruments"] if row["instrument"] == "naranjo"}
    made = [_item("naranjo", item, answer, int(rows[item][f"points_{answer[0]}"])) for item, answer in answers.items()]
    total = sum(row["points"] for row in made)
    verdict = next(
        word for word, least in (("definite", 9), ("probable", 5), ("possible", 1), ("doubtful", -99)) if total >= least
    )
    return [*made, _total("naranjo", verdict, total)]


def _item(instrument: str, item: str, answer: tuple[str, str], points: int | None = None) -> Row:
    said, because = answer
    return {
        "instrument": instrument,
        "item": item,
        "answer": said,
        "points": points,
        "verdict": "",
        "because": because,
    }


def _total(instrument: str, verdict: str, points: int | None = None) -> Row:
    return {
        "instrument": instrument,
        "item": "total",
        "answer": "",
        "points": points,
        "verdict": verdict,
        "because": "",
    }


def _who_umc(facts: Row, drug: Row) -> list[Row]:
    time = ("unknown", "")
    if drug["against"] in ("started_after_onset", "stopped_long_before"):
        time = ("no", drug["against"])
    elif drug["start"] is not None:
        early = drug["start"] <= drug["onset"]
        time = ("yes", "started_before_onset") if early else ("no", "started_after_onset")
    answers = {
        "time": time,
        "other_cause": facts["other"],
        "withdrawal": facts["withdrawal"],
        "definitive": facts["reported"],
        "rechallenge": facts["again"],
    }
    said = {item: answer for item, (answer, _) in answers.items()}
    rows = [_item("who_umc", item, answer) for item, answer in answers.items()]
    return [*rows, _total("who_umc", _category(said))]


def _category(said: Mapping[str, str]) -> str:
    other, withdrawal = said["other_cause"], said["withdrawal"]
    if said["time"] == "no":
        return "unlikely"
    if said["time"] == "unknown":
        return "unassessable" if other == withdrawal == "unknown" else "conditional"
    if (other, withdrawal) == ("yes", "no"):
        return "unlikely"
    if (other, withdrawal) != ("no", "yes") or said["rechallenge"] == "no":
        return "possible"
    return "certain" if said["rechallenge"] == said["definitive"] == "yes" else "probable"


def _benichou(facts: Row, drug: Row, episode: Row) -> list[Row]:
    opposite = {"yes": "no", "no": "yes", "unknown": "unknown"}
    answer, because = facts["other"]
    answers = {
        "onset": _near(drug),
        "recovery": _recovery(facts, drug, episode),
        "no_other_cause": (opposite[answer], because),
    }
    said = {one for one, _ in answers.values()}
    verdict = "not_met" if "no" in said else "met" if said == {"yes"} else "open"
    rows = [_item("benichou_summary", item, one) for item, one in answers.items()]
    return [*rows, _total("benichou_summary", verdict)]


def _near(drug: Row) -> tuple[str, str]:
    start, end, onset = drug["start"], drug["end"], drug["onset"]
    if start is not None and start > onset:
        return "no", "started_after_onset"
    if end is not None and onset > end + 7 * DAY:
        return "no", "stopped_before"
    if start is None or end is None:
        return "unknown", ""
    return "yes", "during" if onset <= end else "soon_after"


def _recovery(facts: Row, drug: Row, episode: Row) -> tuple[str, str]:
    if ("recovered_while_continued", "present") in facts["own"]:
        return "no", "recovered_while_continued"
    if drug["end"] is None:
        return "unknown", ""
    month = drug["end"] + 30 * DAY
    if episode["recovery"] is None:
        return ("no", "no_recovery_after_stop") if episode["last_low"] >= month else ("unknown", "")
    if episode["recovery"] > month:
        return "no", "no_recovery_after_stop"
    if episode["recovery"] < drug["end"]:
        return "unknown", ""
    return ("unknown", "g_csf_recent") if facts["g_csf"] else ("yes", "recovered_after_stop")


def disagreements(causes: list[Row], causality: list[Row]) -> list[Row]:
    """Drugs of which ranking and Naranjo say different things."""
    made = []
    for episode in {row["episode_id"] for row in causes}:
        candidates = sorted((row for row in causes if row["episode_id"] == episode), key=lambda row: row["rank"])
        drugs = [row for row in candidates if row["because"] == "exposure"]
        for drug in drugs:
            items = {
                row["item"]: row
                for row in causality
                if (row["episode_id"], row["cause_id"], row["instrument"]) == (episode, drug["cause_id"], "naranjo")
            }
            verdict = items["total"]["verdict"]
            shown = {"episode_id": episode, "cause_id": drug["cause_id"], "rank": drug["rank"], "verdict": verdict}
            if drug is drugs[0] and drug["rank"] <= 3 and verdict == "doubtful":
                made.append(shown | {"statement": "leading_drug_doubtful", "because": _cost(items)})
            if drug["rank"] > 3 and verdict in ("probable", "definite"):
                lag = {term: candidates[0][term] - drug[term] for term in TERMS}
                worst = next(term for term in TERMS if lag[term] == max(lag.values()))
                made.append(shown | {"statement": "probable_not_leading", "because": worst})
    return made


def _cost(items: Mapping[str, Row]) -> str:
    reasons = {"2": "started_after_onset", "4": "rechallenge_negative", "5": "other_cause"}
    return next((why for item, why in reasons.items() if items[item]["points"] < 0), "little_known")


def look_again(causes: list[Row], evidence: list[Row], chances: list[Row], policy: Policy) -> list[Row]:
    """The tests that tell most, episode by episode."""
    made = []
    for episode in {row["episode_id"] for row in causes}:
        candidates = [row for row in causes if row["episode_id"] == episode and row["rank"] <= 5]
        known = {
            row["cause_id"] if row["clue"] == "confirmed" else row["clue"]
            for row in evidence
            if row["episode_id"] == episode
        }
        known |= {row["cause_id"] for row in candidates if row["because"] == "recorded"}
        best = _best_of_each_test(candidates, [row for row in chances if row["target"] not in known])
        telling = sorted((row for row in best if row["information"] > 0), key=_order)
        for step, row in enumerate(telling[: int(policy["explain.next_steps"])], start=1):
            made.append({"episode_id": episode, "step": step} | row)
    return made


def _best_of_each_test(candidates: list[Row], chances: list[Row]) -> list[Row]:
    best = []
    ordered = sorted(chances, key=lambda row: (row["test"], row["target"]))
    for _, of_test in groupby(ordered, key=lambda row: row["test"]):
        questions = [_asked(candidates, list(rows)) for _, rows in groupby(of_test, key=lambda row: row["target"])]
        best.append(min(questions, key=lambda row: -row["information"]))
    return best


def _asked(candidates: list[Row], rows: list[Row]) -> Row:
    """Information as it is defined: over the four cells of cause and answer, not as a difference of entropies."""
    total = sum(row["probability"] for row in candidates)
    positive = {row["cause_id"]: row["positive"] for row in rows}
    chance = {
        row["cause_id"]: (row["probability"] / total, positive.get(row["cause_id"], rows[0]["otherwise"]))
        for row in candidates
    }
    overall = sum(share * one for share, one in chance.values())
    information = sum(
        share * (one * math.log(one / overall) + (1 - one) * math.log((1 - one) / (1 - overall)))
        for share, one in chance.values()
    )
    listed = [row for row in sorted(candidates, key=lambda row: row["rank"]) if row["cause_id"] in positive]
    shown = {name: rows[0][name] for name in ("test", "name", "days_from", "days_to", "source_id")}
    return shown | {
        "information": round(information, 6),
        "separates": ";".join(row["cause_id"] for row in listed),
    }


def _order(row: Row) -> tuple[float, str]:
    return -row["information"], row["test"]
