"""Tables of the detect room."""

from __future__ import annotations

from leukopenia.contracts.shape import (
    COUNT_KEY,
    LINE_UNIT,
    PATIENT,
    Table,
    flag,
    number,
    text,
    whole,
)

GRADES = Table(
    "grades",
    "count x standard",
    ("patient_id", "analyte", "minute", "standard"),
    (
        *COUNT_KEY,
        text("standard", "ctcae-4.03, ctcae-5.0, ctcae-6.0, daids-2.1"),
        whole("grade", "0 to 4; null: unknown, see reason", nullable=True),
        flag("at_least", "the count is an upper bound, so the grade is a minimum"),
        number("limit", "the lower limit of normal used", unit=LINE_UNIT),
        text("limit_basis", "laboratory, estimated, published, or none"),
        text("reason", "why the grade is unknown, else empty"),
    ),
)

EPISODES = Table(
    "episodes",
    "one run of low counts of one analyte in one person",
    ("episode_id",),
    (
        text("episode_id", "patient/analyte/number"),
        PATIENT,
        text("analyte", "the line that is low"),
        whole("number", "1 for the person's first episode of this line"),
        whole("onset", "first low count", unit="min"),
        whole("last_not_low", "last count before onset that is not low: onset lies between the two", True, "min"),
        number("nadir", "lowest value", nullable=False, unit=LINE_UNIT),
        text("nadir_comparator", "comparator of the nadir"),
        whole("nadir_minute", "first time of the lowest value", unit="min"),
        whole("last_low", "last low count", unit="min"),
        whole("recovery", "first count of the confirmed recovery", nullable=True, unit="min"),
        text("state", "closed, open or censored"),
        whole("n_low", "low counts"),
        whole("n_counts", "all counts from onset to the last low one"),
        flag("confirmed", "two or more low counts"),
        flag("unobserved_gap", "two neighbouring low counts lie further apart than the gap of the policy"),
        text("chronicity", "acute, or chronic (three months or more)"),
        text("severity", "mild, moderate, severe, profound, or empty where no source grades the line"),
        text("basis", "basis of the limit at onset: laboratory, estimated, published, or none"),
        *(
            whole(f"worst_{standard.replace('-', '_').replace('.', '_')}", f"worst grade, {standard}", True)
            for standard in ("ctcae-4.03", "ctcae-5.0", "ctcae-6.0", "daids-2.1")
        ),
        flag("worst_at_least", "the nadir is an upper bound, so worst grades are minima"),
    ),
)

RISKS = Table(
    "risks",
    "person x kind x definition",
    ("patient_id", "kind", "definition", "detail"),
    (
        PATIENT,
        text("kind", "agranulocytosis, severe_neutropenia_with_fever, febrile_neutropenia, pancytopenia, ..."),
        text("definition", "the named definition that is met"),
        whole("minute", "when it was first met", unit="min"),
        whole("last_minute", "when it was last met", unit="min"),
        text("detail", "in plain words, or the ingredient"),
        text("source_id", "source of the definition, empty where it is the report itself"),
        flag("ongoing", "the latest count or finding of that kind still meets it"),
    ),
)

INFECTION_RISK = Table(
    "infection_risk",
    "one neutrophil episode",
    ("episode_id",),
    (
        text("episode_id", "the episode"),
        number("days_severe", "observed days of severe neutropenia", False, "d"),
        number("days_profound", "observed days of profound neutropenia", False, "d"),
        number("deficit", "depth below severe times duration", False, "10^9/L x d"),
    ),
)

RISK_SCORES = Table(
    "risk_scores",
    "person with febrile neutropenia x score",
    ("patient_id", "score"),
    (
        PATIENT,
        text("score", "mascc (21 or more, some say more than 21: low risk) or cisne (3 or more: high risk)"),
        whole("minute", "first febrile neutropenia", unit="min"),
        whole("minimum", "points that the records already give"),
        whole("maximum", "points that the unknown items could still give"),
        whole("items_known", "how many items the records settle"),
        text("source_id", "source of the score"),
    ),
)
