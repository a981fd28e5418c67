"""Tables of the explain room."""

from __future__ import annotations

from leukopenia.contracts.shape import (
    NATS,
    PATIENT,
    Table,
    number,
    text,
    whole,
)

_TERM = (
    ("prior", "how often the cause lowers counts, given the exposure, the condition, or nothing on record"),
    ("timing", "the onset latency under the cause against an unrelated onset"),
    ("lineage", "which lines fell and which did not"),
    ("clues", "what else was found"),
    ("course", "recovery after stopping, or while continued"),
    ("rechallenge", "what happened when it was given again"),
    ("dose", "a higher dose before the fall"),
    ("history", "earlier counts and reactions"),
    ("interaction", "another drug, condition or clue that makes it more likely"),
)

CAUSES = Table(
    "causes",
    "episode x candidate",
    ("episode_id", "cause_id"),
    (
        text("episode_id", "the episode"),
        PATIENT,
        text("cause_id", "drug:..., cond:... or unexplained"),
        whole("rank", "1 for the leading cause"),
        number("probability", "the candidates of an episode add to 1", nullable=False),
        number("score", "sum of the terms", False, NATS),
        *(number(name, meaning, False, NATS) for name, meaning in _TERM),
        text("because", "exposure, combination, recorded, suggested, always or unexplained"),
        text("against", "started_after_onset, stopped_long_before, recovered_while_continued, or empty"),
        text("partner", "the other part of an interaction, or empty"),
        whole("onset", "onset of the episode", unit="min"),
        whole("start", "start of the exposure or condition used", nullable=True, unit="min"),
        whole("end", "its end", nullable=True, unit="min"),
        text("source", "source of the exposure or condition, or empty"),
        text("row_id", "its row, or empty"),
    ),
)

CAUSE_EVIDENCE = Table(
    "cause_evidence",
    "episode x candidate x clue",
    ("episode_id", "cause_id", "clue", "state"),
    (
        text("episode_id", "the episode"),
        text("cause_id", "the candidate"),
        text("factor", "the term it counts for: clues, course, rechallenge, dose or history"),
        text("clue", "row of clues.csv"),
        text("state", "present or absent"),
        number("effect", "positive: for the candidate; negative: against it", False, NATS),
        whole("minute", "when it was seen", nullable=True, unit="min"),
        text("source", "source of the row behind it, or empty"),
        text("row_id", "the row behind it, or empty"),
        text("source_id", "published source of the weight"),
    ),
)

CAUSALITY = Table(
    "causality",
    "episode x drug candidate x instrument x item",
    ("episode_id", "cause_id", "instrument", "item"),
    (
        text("episode_id", "the episode"),
        text("cause_id", "the drug"),
        text("instrument", "naranjo, who_umc or benichou_summary (neutrophils only)"),
        text("item", "number or name of the item (instruments.csv); total: the verdict"),
        text("answer", "yes, no or unknown; empty for the verdict"),
        whole("points", "points of the answer, or their sum; null where the instrument gives none", nullable=True),
        text("verdict", "what the instrument concludes (instrument_verdicts.csv); empty for an item"),
        text("because", "what gave the answer: a clue, a code, or the other cause; else empty"),
    ),
)

CAUSE_RATES = Table(
    "cause_rates",
    "one cause in the whole source",
    ("cause_id",),
    (
        text("cause_id", "drug:..., cond:... or unexplained"),
        whole("candidate_in", "episodes in which it is a candidate"),
        whole("leads_in", "episodes in which it is the leading cause"),
        number("expected", "sum of its probabilities", False, "episodes"),
        whole("persons", "persons exposed to the drug, or with the condition on record", nullable=True),
        number("days_exposed", "days under the drug", unit="d"),
        number("rate", "episodes it leads per 1000 person-years under the drug", unit="1/1000 a"),
        number("rate_low", "lower 95 % confidence limit", unit="1/1000 a"),
        number("rate_high", "upper 95 % confidence limit", unit="1/1000 a"),
    ),
)

DISAGREEMENTS = Table(
    "disagreements",
    "episode x drug on which the ranking and the Naranjo scale part ways",
    ("episode_id", "cause_id"),
    (
        text("episode_id", "the episode"),
        text("cause_id", "the drug"),
        whole("rank", "its rank among the causes"),
        text("verdict", "what the Naranjo scale concludes"),
        text("statement", "leading_drug_doubtful or probable_not_leading"),
        text("because", "the item that cost points, or the term of the score in which the drug lags behind"),
    ),
)

NEXT_STEPS = Table(
    "next_steps",
    "episode x proposed test",
    ("episode_id", "step"),
    (
        text("episode_id", "the episode"),
        whole("step", "1: the test that is expected to tell most"),
        text("test", "test (look_again.csv)"),
        text("name", "the test in plain words"),
        whole("days_from", "first day on which it tells something", nullable=True, unit="d"),
        whole("days_to", "last day on which it tells something", nullable=True, unit="d"),
        text("separates", "the leading causes that its answer sets apart from the others, separated by ;"),
        number("information", "expected information about which leading cause it is", False, NATS),
        text("source_id", "source of the test"),
    ),
)
