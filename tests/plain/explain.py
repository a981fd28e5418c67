"""Twin of `explain`: the causes of one episode at a time, each as a sum of nats."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from plain.clues import Knowledge, Row, Tables, evidence, lines_low
from plain.episodes import DAY

Policy = Mapping[str, str]

TERMS = ("prior", "timing", "lineage", "clues", "course", "rechallenge", "dose", "history", "interaction")
OWN = ("course", "rechallenge", "dose", "history")
BECAUSE = ("exposure", "combination", "recorded", "suggested", "always", "unexplained")
CLEARED = ("started_after_onset", "stopped_long_before", "recovered_while_continued")
NOT_THERE = ("started_after_onset", "stopped_long_before")
SUGGESTS_NOTHING = ("line", "severity", "age", "course")
MONTH = 30 * DAY


def explained(tables: Tables, knowledge: Knowledge, policy: Policy) -> dict[str, list[Row]]:
    """Every candidate of every episode of a white line, and what was said for and against it."""
    made: dict[str, list[Row]] = {"causes": [], "cause_evidence": []}
    known = _by_key(knowledge)
    persons: dict[Any, dict[str, list[Row]]] = {}
    for name, rows in tables.items():
        for row in rows:
            persons.setdefault(row["patient_id"], {one: [] for one in tables})[name].append(row)
    for mine in persons.values():
        for episode in mine["episodes"]:
            if episode["analyte"] in policy["explain.analytes"].split(";"):
                found = evidence(episode, mine, knowledge)
                ranked = _ranked(_scored(episode, found, mine, known, policy), policy)
                made["cause_evidence"] += [row for one in ranked for row in one.pop("reasons")]
                made["causes"] += ranked
    return made


def _by_key(knowledge: Knowledge) -> Knowledge:
    """The knowledge with what is looked up often under its key."""
    causes = (*knowledge["causes_drugs"], *knowledge["causes_conditions"])
    return {
        **knowledge,
        "cause": {row["id"]: row for row in causes},
        "weight": {(row["clue"], row["state"], row["target"]): row for row in knowledge["clue_weights"]},
        "nats": {row["strength"]: float(row["nats"]) for row in knowledge["strengths"]},
    }


def _number(policy: Policy, name: str) -> float:
    return float(policy[f"explain.{name}"])


def _log_frequency(row: Row, policy: Policy) -> float:
    return _number(policy, "prior_scale") * math.log(float(row["frequency"] or 0.0002))


def _log_background(share: float, policy: Policy) -> float:
    """A share of the low counts that come to persons of whom nothing is on record."""
    return _number(policy, "prior_scale") * math.log(share * _number(policy, "background_rate"))


# The line-up.


def _candidates(episode: Row, found: list[Row], tables: Tables, knowledge: Knowledge, policy: Policy) -> dict[str, Row]:
    """One candidate a cause; what is recorded goes before what is only suggested."""
    line_up: dict[str, Row] = {}
    drugs = list(_exposed(episode, tables, knowledge, policy))
    suggested = _suggested(found, knowledge, policy)
    standing = {cause for cause, row in knowledge["cause"].items() if row["always"] == "yes"}
    rate = _number(policy, "unexplained_share") * _number(policy, "background_rate") + _number(policy, "untold_rate")
    unexplained = _number(policy, "prior_scale") * math.log(rate)
    for part in (
        drugs,
        _combination(drugs, knowledge, policy),
        _recorded(episode, tables["conditions"], knowledge, policy),
        _unrecorded(suggested, "suggested", knowledge, policy),
        _unrecorded(standing, "always", knowledge, policy),
        [{"cause_id": "unexplained", "because": "unexplained", "row": None, "prior": unexplained}],
    ):
        for candidate in part:
            line_up.setdefault(candidate["cause_id"], candidate)
    return line_up


def _exposed(episode: Row, tables: Tables, knowledge: Knowledge, policy: Policy) -> list[Row]:
    """The interval of each drug that fits the episode best."""
    best: dict[str, Row] = {}
    for one in _intervals(episode, tables, knowledge, policy):
        clues = _own_clues(one, episode, tables, knowledge, policy)
        one = (
            one | {"because": "exposure", "prior": _log_frequency(one["row"], policy)} | _own(clues, knowledge, policy)
        )
        if one["cause_id"] not in best or _fit_order(one) < _fit_order(best[one["cause_id"]]):
            best[one["cause_id"]] = one
    agents = [one for one in best.values() if _is_agent(one)]
    for one in agents if len(agents) > 1 else []:
        one["prior"] -= _number(policy, "prior_scale") * math.log(len(agents))
    return list(best.values())


def _fit_order(one: Row) -> tuple[Any, ...]:
    fit = math.floor(sum(one[term] for term in ("timing", *OWN)) * 1e6 + 0.5)
    return -fit, one["start"] or 0, one["source"], one["row_id"]


def _is_agent(one: Row) -> bool:
    """A part of one chemotherapy: given within six weeks."""
    recent = one["high"] is not None and one["high"] <= 42
    return one["row"]["cause_class"] == "chemotherapy" and one["fits"] and recent


def _combination(drugs: list[Row], knowledge: Knowledge, policy: Policy) -> Iterator[Row]:
    agents = [one for one in drugs if _is_agent(one)]
    row = knowledge["cause"].get("cond:cytotoxic-chemotherapy")
    if len(agents) > 1 and row is not None:
        recovered = any(one["own_clues"].get("course") == "recovered_after_stop" for one in agents)
        clues = {"course": "recovered_after_stop"} if recovered else {}
        yield {
            "cause_id": row["id"],
            "row": row,
            "because": "combination",
            "prior": _log_frequency(row, policy),
            "timing": max(one["timing"] for one in agents),
            "start": min((one["start"] for one in agents if one["start"] is not None), default=None),
            "end": max((one["end"] for one in agents if one["end"] is not None), default=None),
        } | _own(clues, knowledge, policy)


def _recorded(episode: Row, conditions: list[Row], knowledge: Knowledge, policy: Policy) -> list[Row]:
    known = knowledge["cause"]
    best: dict[str, tuple[Any, Row]] = {}
    for one in conditions:
        row = known.get(one["condition"])
        began_later = one["start"] is not None and one["start"] > episode["last_low"] + MONTH
        if row is None or row["lineage"] == "none" or began_later:
            continue
        if _late(one, row, episode, policy) >= 6 * 7:
            continue
        afterwards = row["acute"] != "yes" and one["start"] is not None and one["start"] > episode["onset"] + DAY
        doubtful = one["certainty"] in ("provisional", "past") or afterwards
        shares = [_number(policy, "doubt")] * doubtful + [_number(policy, "chronic_share")] * (row["acute"] != "yes")
        fewer = _number(policy, "prior_scale") * sum(map(math.log, shares))
        made = {
            "cause_id": row["id"],
            "row": row,
            "because": "recorded",
            "prior": _log_frequency(row, policy) + fewer,
            "timing": _illness(one, row, episode, policy),
            **{name: one[name] for name in ("start", "end", "source", "row_id")},
        }
        fit = math.floor((made["prior"] + made["timing"]) * 1e6 + 0.5)
        order = (-fit, one["start"] or 0, one["source"], one["row_id"])
        if row["id"] not in best or order < best[row["id"]][0]:
            best[row["id"]] = (order, made)
    return [made for _, made in best.values()]


def _latest(row: Row, policy: Policy) -> float:
    return max(float(row["onset_days_max"] or 0), _number(policy, "acute_days")) + 14


def _late(condition: Row, row: Row, episode: Row, policy: Policy) -> float:
    """How many days an acute illness lies outside its window: a fortnight before it is recorded to one after it."""
    if row["acute"] != "yes" or condition["start"] is None:
        return 0.0
    days = (episode["onset"] - condition["start"]) / DAY
    return max(-14 - days, days - _latest(row, policy))


def _illness(condition: Row, row: Row, episode: Row, policy: Policy) -> float:
    if row["acute"] != "yes" or condition["start"] is None:
        return 0.0
    excess = _late(condition, row, episode, policy)
    inside = max(math.log(_number(policy, "window_days") / (_latest(row, policy) + 14)), 0.0)
    return _number(policy, "timing_scale") * (inside if excess <= 0 else -excess / 7)


def _suggested(found: list[Row], knowledge: Knowledge, policy: Policy) -> set[str]:
    named = {row["cause"] for row in found if row["cause"] and row["state"] == "present"}
    telling = {row["clue"] for row in knowledge["clues"] if row["group"] not in SUGGESTS_NOTHING}
    pointed = {
        cause
        for cause in knowledge["cause"]
        for row in found
        if row["cause"] == ""
        and row["clue"] in telling
        and _general(row, cause, knowledge, policy) >= _number(policy, "suggests")
    }
    return named | pointed


def _general(sign: Row, cause: str, knowledge: Knowledge, policy: Policy) -> float:
    weight = _weight(sign, knowledge["cause"][cause], knowledge)
    return 0.0 if weight is None else _nats(weight, knowledge, policy)


def _unrecorded(causes: Iterable[str], because: str, knowledge: Knowledge, policy: Policy) -> Iterator[Row]:
    known = knowledge["cause"]
    for cause in causes:
        row = known.get(cause)
        if row is not None and row["background"] and row["lineage"] != "none":
            prior = _log_background(float(row["background"]), policy)
            yield {"cause_id": cause, "row": row, "because": because, "prior": prior}


# Timing and course of drugs.


def _intervals(episode: Row, tables: Tables, knowledge: Knowledge, policy: Policy) -> Iterator[Row]:
    """Every interval that could bear on the episode, with its timing and whether it fits."""
    known = knowledge["cause"]
    onset = episode["onset"]
    for one in tables["exposures"]:
        row = known.get(one["ingredient"], known["drug:other"])
        start, end, after = one["start"], one["end"], _after_stop(row, policy)
        too_late = start is not None and start > onset + MONTH
        too_early = end is not None and end < onset - (200 + after) * DAY
        if row["lineage"] == "none" or too_late or too_early:
            continue
        place = _placed(start, end, episode, row, after)
        yield one | {"cause_id": one["ingredient"], "row": row} | place | {"timing": _timing(place, row, policy)}


def _after_stop(row: Row, policy: Policy) -> float:
    return float(row["after_stop_days"] or policy["explain.after_stop_days"])


def _placed(start: int | None, end: int | None, episode: Row, row: Row, after: float) -> Row:
    """Days from the start (or last dose) to the earliest and latest possible onset, and days too late for it."""
    onset, normal = episode["onset"], episode["last_not_low"]
    base = end if row["onset_from"] == "last_dose" and end is not None and end <= onset else start
    earliest = max((time for time in (base, normal) if time is not None), default=None)
    unseen = onset - MONTH if earliest is None else max(earliest, onset - MONTH)
    gap = 0.0 if end is None else (unseen - end) / DAY - after
    begun_later = start is not None and start > onset
    return {
        "low": None if base is None else (earliest - base) / DAY,
        "high": None if base is None else (onset - base) / DAY,
        "gap": gap,
        "timed": start is not None and not begun_later,
        "begun_later": begun_later,
        "fits": not begun_later and gap <= 0,
    }


def _timing(place: Row, row: Row, policy: Policy) -> float:
    if not place["timed"]:
        return 0.0
    late = min(place["gap"] / 7, 6.0) if place["gap"] > 0 else 0.0
    return _number(policy, "timing_scale") * (_latency(place["low"], place["high"], row, policy) - late)


def _latency(low: float, high: float, row: Row, policy: Policy) -> float:
    """Chance of the onset interval under the drug over that of an onset at any time, as a logarithm."""
    curve = _curve(row)
    if curve is None:
        return 0.0
    if high - low < 1:
        low, high = max(high - 0.5, 0.0), high + 0.5
    share, span = _number(policy, "late_share"), _number(policy, "late_days")
    chance = (1 - share) * (_until(high, curve) - _until(low, curve)) + share * min(1.0, (high - low) / span)
    unrelated = max(high - low, 1.0) / _number(policy, "window_days")
    doubt = _number(policy, "window_doubt")
    return math.log((1 - doubt) * chance / unrelated + doubt)


def _curve(row: Row) -> tuple[float, float] | None:
    """Median and shape of the log-logistic latency; the extreme days bound 95 % of it."""
    low, middle, high = (
        float(row[f"onset_days_{name}"]) if row[f"onset_days_{name}"] else None for name in ("min", "median", "max")
    )
    low = None if low is None else max(low, 1.0)
    if row["kind"] != "drug":
        return None
    if middle is None:
        middle = math.sqrt(low * high) if low and high else high or low
    if not middle:
        return None
    shape = 2 * math.log(39) / math.log(high / low) if low and high and high > low else 2.0
    return middle, min(max(shape, 1.0), 8.0)


def _until(days: float, curve: tuple[float, float]) -> float:
    alpha, beta = curve
    return 0.0 if days <= 0 else float(1 / (1 + (days / alpha) ** -beta))


def _own_clues(one: Row, episode: Row, tables: Tables, knowledge: Knowledge, policy: Policy) -> dict[str, str]:
    clues = {"course": _course(one, episode, policy)}
    if one["fits"] and _again(one, episode, tables, knowledge, policy):
        clues["rechallenge"] = "rechallenge_positive"
    if one["fits"] and _kin_before(one, episode, tables, knowledge, policy):
        clues["history"] = "similar_before"
    if one["fits"] and _dose_raised(one, tables["exposures"]):
        clues["dose"] = "dose_increased"
    return {term: clue for term, clue in clues.items() if clue}


def _course(one: Row, episode: Row, policy: Policy) -> str:
    row, end, recovery = one["row"], one["end"], episode["recovery"]
    steady = row["onset_from"] != "last_dose"
    wait = max(float(row["recovery_days_max"] or 0), _number(policy, "recovery_days")) * DAY
    if one["begun_later"]:
        return "started_after_onset"
    if one["gap"] > 30:
        return "stopped_long_before"
    if end is None:
        return ""
    if one["fits"] and recovery is not None and end <= recovery <= end + wait:
        return "recovered_after_stop"
    before = one["start"] is not None and one["start"] <= episode["onset"]
    if steady and before and recovery is not None and end >= recovery + 3 * DAY:
        return "recovered_while_continued"
    if steady and one["fits"] and recovery is None and episode["last_low"] >= end + wait:
        return "no_recovery_after_stop"
    return ""


def _hits(episode: Row, tables: Tables, knowledge: Knowledge, policy: Policy) -> list[tuple[Row, int]]:
    """Intervals that fit some episode of this person and line, with the onset of that episode."""
    line = [row for row in tables["episodes"] if row["analyte"] == episode["analyte"]]
    return [
        (interval, one["onset"])
        for one in line
        for interval in _intervals(one, tables, knowledge, policy)
        if interval["fits"]
    ]


def _again(one: Row, episode: Row, tables: Tables, knowledge: Knowledge, policy: Policy) -> bool:
    """Given anew after the first fall under it, and a fall again. Cycles of chemotherapy are no such test."""
    mine = [hit for hit in _hits(episode, tables, knowledge, policy) if hit[0]["cause_id"] == one["cause_id"]]
    first = min(onset for _, onset in mine)
    anew = any(interval["start"] is not None and interval["start"] > first for interval, _ in mine)
    return anew and one["row"]["onset_from"] != "last_dose"


def _kin_before(one: Row, episode: Row, tables: Tables, knowledge: Knowledge, policy: Policy) -> bool:
    """An earlier fall under another drug of the same chemical subgroup, before this one was ever suspected."""
    group = _atc4(one["row"], knowledge)
    if not group or one["start"] is None or one["row"]["onset_from"] == "last_dose":
        return False
    hits = _hits(episode, tables, knowledge, policy)
    own = min(onset for interval, onset in hits if interval["cause_id"] == one["cause_id"])
    kin = [onset for interval, onset in hits if _atc4(interval["row"], knowledge) == group]
    return min(kin) < own and min(kin) < one["start"]


def _atc4(row: Row, knowledge: Knowledge) -> str:
    codes = {one["id"]: one["atc"] for one in knowledge["ingredients"]}
    return str(codes.get(row["id"], "").split(";")[0][:5])


def _dose_raised(one: Row, exposures: list[Row]) -> bool:
    if one["start"] is None or one["dose"] is None:
        return False
    same = ("ingredient", "dose_unit")
    earlier = [
        row
        for row in exposures
        if all(row[name] == one[name] for name in same) and row["start"] is not None and row["start"] < one["start"]
    ]
    last = max(earlier, key=lambda row: row["start"])["dose"] if earlier else None
    return last is not None and one["dose"] > last


# Weights.


def _weight(sign: Row, row: Row, knowledge: Knowledge) -> Row | None:
    """The weight of a sign for a cause: its own row, else that of its class, its lineage, its kind."""
    targets = (row["id"], f"class:{row['cause_class']}", f"lineage:{row['lineage']}", f"kind:{row['kind']}")
    found = (knowledge["weight"].get((sign["clue"], sign["state"], target)) for target in targets)
    return next((weight for weight in found if weight is not None), None)


def _own_weight(clue: str, state: str, knowledge: Knowledge) -> Row | None:
    weight: Row | None = knowledge["weight"].get((clue, state, "self"))
    return weight


def _nats(weight: Row, knowledge: Knowledge, policy: Policy) -> float:
    nats = knowledge["nats"][weight["strength"]]
    return _number(policy, "clue_scale") * (nats if weight["direction"] == "for" else -nats)


def _own(clues: Mapping[str, str], knowledge: Knowledge, policy: Policy) -> Row:
    """The nats of the clues that a drug's own dates give."""
    weights = {term: _own_weight(clue, "present", knowledge) for term, clue in clues.items()}
    nats = {term: _nats(weight, knowledge, policy) for term, weight in weights.items() if weight is not None}
    return {"own_clues": dict(clues)} | {term: nats.get(term, 0.0) for term in OWN}


def _reasons(one: Row, found: list[Row], knowledge: Knowledge, policy: Policy) -> Iterator[Row]:
    """Every sign that speaks for or against a candidate; what its dates say already is not said twice."""
    own = one.get("own_clues", {})
    for clue in own.values():
        sign = {"clue": clue, "state": "present", "minute": one.get("start")}
        sign |= {name: one.get(name, "") for name in ("source", "row_id")}
        yield from _reason(sign, _own_weight(clue, "present", knowledge), knowledge, policy)
    for sign in found:
        if sign["cause"] == "" and one["row"] is not None and not _is_itself(sign, one):
            yield from _reason(sign, _weight(sign, one["row"], knowledge), knowledge, policy)
        elif sign["cause"] == one["cause_id"] and (sign["state"] == "absent" or sign["clue"] not in own.values()):
            yield from _reason(sign, _own_weight(sign["clue"], sign["state"], knowledge), knowledge, policy)


def _is_itself(sign: Row, one: Row) -> bool:
    """A drug, a condition or a text is not a clue to the cause that it names itself."""
    told = sign["signal"] == "" and sign["row_id"] != ""
    same = all(str(sign[name]) == str(one.get(name, "")) for name in ("source", "row_id"))
    return bool(sign["signal"] == one["cause_id"] or (told and same))


def _reason(sign: Row, weight: Row | None, knowledge: Knowledge, policy: Policy) -> Iterator[Row]:
    if weight is not None:
        yield {name: sign[name] for name in ("clue", "state", "minute", "source", "row_id")} | {
            "factor": weight["factor"],
            "effect": _nats(weight, knowledge, policy),
            "source_id": weight["source_id"],
        }


# The sum.


def _scored(episode: Row, found: list[Row], tables: Tables, knowledge: Knowledge, policy: Policy) -> list[Row]:
    line_up = _candidates(episode, found, tables, knowledge, policy)
    at_hand = {
        cause
        for cause, one in line_up.items()
        if one["because"] in ("exposure", "recorded") and one.get("own_clues", {}).get("course", "") not in NOT_THERE
    } | {row["clue"] for row in found if row["state"] == "present" and row["cause"] == ""}
    low = lines_low(episode, tables["lines"])
    return [_with_terms(one, episode, found, at_hand, low, knowledge, policy) for one in line_up.values()]


def _with_terms(
    one: Row,
    episode: Row,
    found: list[Row],
    at_hand: set[str],
    low: Mapping[str, bool | None],
    knowledge: Knowledge,
    policy: Policy,
) -> Row:
    said = list(_reasons(one, found, knowledge, policy))
    nats, partner = _interaction(one["cause_id"], at_hand, knowledge, policy)
    terms = {factor: sum(row["effect"] for row in said if row["factor"] == factor) for factor in ("clues", *OWN)}
    lineage = 0.0 if one["row"] is None else _lineage(one["row"]["lineage"], low, knowledge)
    terms |= {"prior": one["prior"], "timing": one.get("timing", 0.0), "interaction": nats}
    terms["lineage"] = _number(policy, "lineage_scale") * lineage
    course = one.get("own_clues", {}).get("course", "")
    key = {"episode_id": episode["episode_id"], "cause_id": one["cause_id"]}
    return (
        key
        | {name: float(terms[name]) for name in TERMS}
        | {name: episode[name] for name in ("patient_id", "onset")}
        | {name: one.get(name) for name in ("start", "end")}
        | {name: str(one.get(name, "")) for name in ("source", "row_id")}
        | {
            "because": one["because"],
            "against": course if course in CLEARED else "",
            "partner": partner,
            "score": float(sum(terms.values())),
            "reasons": [row | key | {"row_id": str(row["row_id"])} for row in said],
        }
    )


def _lineage(lineage: str, low: Mapping[str, bool | None], knowledge: Knowledge) -> float:
    chance = {(row["lineage"], row["line"]): float(row["p_low"]) for row in knowledge["lineages"]}
    total = 0.0
    for line, is_low in low.items():
        under, usual = chance[lineage, line], chance["background", line]
        if is_low is not None:
            total += math.log(under / usual) if is_low else math.log((1 - under) / (1 - usual))
    return total


def _interaction(cause: str, at_hand: set[str], knowledge: Knowledge, policy: Policy) -> tuple[float, str]:
    """The strongest partner that is there."""
    met = [
        (-_number(policy, "clue_scale") * knowledge["nats"][row["strength"]], row["partner"])
        for row in knowledge["interactions"]
        if row["cause"] == cause and row["partner"] in at_hand
    ]
    weaker, partner = min(met, default=(0.0, ""))
    return -weaker, partner


def _ranked(scored: list[Row], policy: Policy) -> list[Row]:
    best = max(one["score"] for one in scored)
    weights = [math.exp((one["score"] - best) / _number(policy, "temperature")) for one in scored]
    shared = [one | {"probability": weight / sum(weights)} for one, weight in zip(scored, weights, strict=True)]
    order = sorted(shared, key=lambda one: (-math.floor(one["score"] * 1e6 + 0.5), one["cause_id"]))
    return [one | {"rank": rank} for rank, one in enumerate(order, start=1)]
