"""The tables of the monitor room."""

from __future__ import annotations

from leukopenia.contracts.shape import PATIENT, Column, Table

_RULE = Column("rule_id", "String", "the rule (monitoring_rules.csv); empty where no rule is known")
_DRUG = Column("drug", "String", "ingredient id (drug:...)")
_COURSE = Column("course", "Int64", "1 for the person's first course of the drug")
_OPEN = Column("open", "Boolean", "still so on the day asked for")

COURSES = Table(
    "courses",
    "one course of treatment of one person with a monitored drug",
    ("patient_id", "drug", "course"),
    (
        PATIENT,
        _DRUG,
        _COURSE,
        Column("start", "Int64", "first minute", unit="min"),
        Column("end", "Int64", "last known minute of supply, not beyond the day asked for", unit="min"),
        Column("ongoing_at", "Boolean", "on the day asked for no more than the gap of the drug after the end"),
        Column("start_known", "Boolean", "records of the person begin so early that the first dose was seen"),
        Column("end_known", "Boolean", "the last row has an end of its own, or is an administration"),
        Column("basis", "String", "administered, dispensed, stated or ordered: the strongest of the rows"),
        Column("reason", "String", "start_not_seen, only_orders, no_dose, or empty"),
    ),
)

DUE_COUNTS = Table(
    "due_counts",
    "one count that a rule asks for",
    ("patient_id", "rule_id", "drug", "course", "kind", "due"),
    (
        PATIENT,
        _RULE,
        _DRUG,
        _COURSE,
        Column("due", "Int64", "first minute of the day on which the count is due", unit="min"),
        Column("latest", "Int64", "first minute of the last day on which it is in time", unit="min"),
        Column("kind", "String", "baseline, scheduled, follow_up, after_stop or after_end"),
        Column("fulfilled", "Int64", "the count that fulfils it", True, "min"),
        Column(
            "state",
            "String",
            "fulfilled, open (lies ahead), due, overdue, missed (another count came later, or treatment ended) or "
            "unknown",
        ),
    ),
)

ALERTS = Table(
    "alerts",
    "one thing that a rule asks somebody to look at",
    ("patient_id", "rule_id", "drug", "course", "minute", "kind", "analyte"),
    (
        PATIENT,
        _RULE,
        _DRUG,
        _COURSE,
        Column("minute", "Int64", "when it arose", unit="min"),
        Column(
            "kind",
            "String",
            "baseline_missing, due, overdue, no_count_after_end, threshold_crossed, confirmation_missing, "
            "contraindicated_start, contraindicated_restart or continued_in_spite_of_stop",
        ),
        Column("days_overdue", "Int64", "days from the due date to the next count, else to the end", True, "d"),
        Column("analyte", "String", "the line of the count behind it, or empty"),
        Column("value", "Float64", "the count behind it", True, "10^9/L; haemoglobin g/L"),
        Column("action", "String", "what the rule asks for (monitoring_thresholds.csv), or empty"),
        Column("statement", "String", "the same in words"),
        Column("source_id", "String", "source of the rule"),
        _OPEN,
        Column("urgency", "Int64", "1: most urgent, to 5"),
    ),
)

NOT_ASSESSABLE = Table(
    "not_assessable",
    "a course that a rule cannot be applied to, and why",
    ("patient_id", "rule_id", "drug", "course", "reason"),
    (
        PATIENT,
        _RULE,
        _DRUG,
        Column("course", "Int64", "the course; null: no row of the drug has a start", True),
        Column(
            "reason",
            "String",
            "start_not_seen, only_orders, end_unknown, no_counts_at_all_in_source, no_fixed_interval, "
            "population_unknown, baseline_unknown or no_rule_found",
        ),
        _OPEN,
    ),
)

COVERAGE = Table(
    "coverage",
    "how well a course was monitored under a rule",
    ("patient_id", "rule_id", "drug", "course"),
    (
        PATIENT,
        _RULE,
        _DRUG,
        _COURSE,
        Column("source", "String", "short name of the source of the first row of the course"),
        Column("days_on_treatment", "Int64", "days of the course on which the rule was in force", unit="d"),
        Column(
            "days_covered",
            "Int64",
            "those without a late scheduled or follow-up count; null: not assessable",
            True,
            "d",
        ),
        Column("n_due", "Int64", "counts due by the day asked for"),
        Column("n_fulfilled", "Int64", "of these fulfilled"),
        Column("n_late", "Int64", "of these fulfilled after the due day, within the grace"),
        Column("n_missed", "Int64", "overdue or missed"),
    ),
)

MONITOR_TABLES = (COURSES, DUE_COUNTS, ALERTS, NOT_ASSESSABLE, COVERAGE)
