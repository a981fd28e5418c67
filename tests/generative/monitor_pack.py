"""A small rule pack in which every feature of the monitor room stands somewhere, with short intervals."""

from __future__ import annotations

from datetime import date, timedelta

Row = dict[str, str]

AS_OF_DAY = 20_000
"""The day the question is asked for."""

RULE = (
    *("rule_id", "drugs", "jurisdiction", "kind", "valid_from", "valid_to", "population", "indication", "analytes"),
    *("baseline", "baseline_days", "restart_after_days", "after_stop_days", "after_stop_interval_days"),
    *("after_end_count", "after_end_days", "note", "conflict", "source_id"),
)
PHASE = ("rule_id", "from_day", "to_day", "interval_days", "only_if", "grace_days", "source_id")
BAND = (
    *("rule_id", "purpose", "analyte", "at_or_above", "below", "fall_by", "fall_within_days", "lasting_days"),
    *("below_share", "action", "statement", "next_interval_days", "until_at_or_above", "until_in_a_row"),
    *("or_baseline", "confirm_hours", "then_weeks", "source_id"),
)


def iso(days_before: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=AS_OF_DAY - days_before)).isoformat()


def _row(columns: tuple[str, ...], text: str, **cells: str) -> Row:
    given = dict(part.split("=", 1) for part in text.split())
    return dict.fromkeys(columns, "") | {"source_id": "design"} | given | cells


def rule(text: str) -> Row:
    return _row(RULE, "jurisdiction=xx population=general baseline=none after_end_count=no " + text)


def phase(text: str) -> Row:
    return _row(PHASE, text)


def band(text: str) -> Row:
    made = _row(BAND, "purpose=continue " + text)
    said = (made[name] for name in ("purpose", "analyte", "action", "below", "lasting_days", "below_share"))
    return made | {"statement": " ".join(said)}


RULES = [
    rule(
        "rule_id=old drugs=drug:a analytes=neutrophils baseline=required restart_after_days=10 after_stop_days=14 "
        f"valid_to={iso(41)}"
    ),
    rule(
        "rule_id=new drugs=drug:a;drug:b analytes=wbc;neutrophils baseline=required baseline_days=7 "
        f"after_stop_days=20 after_stop_interval_days=7 valid_from={iso(40)}"
    ),
    rule(
        "rule_id=ben drugs=drug:a analytes=neutrophils baseline=when_at_risk population=duffy_null "
        f"valid_from={iso(60)}"
    ),
    rule(
        "rule_id=ends drugs=drug:c analytes=wbc;neutrophils baseline=required after_end_count=yes restart_after_days=40"
    ),
    rule("rule_id=days drugs=drug:c analytes=wbc after_end_count=yes after_end_days=5"),
    rule("rule_id=baby drugs=drug:b analytes=neutrophils population=neonate baseline=required"),
    rule("rule_id=rare drugs=drug:d analytes=platelets restart_after_days=3"),
]
PHASES = [
    phase("rule_id=old from_day=0 to_day=28 interval_days=7"),
    phase("rule_id=old from_day=28 interval_days=14"),
    phase("rule_id=old from_day=56 to_day=112 interval_days=28 only_if=no_neutropenia_so_far"),
    phase("rule_id=old from_day=112 interval_days=40 only_if=no_neutropenia_so_far grace_days=0"),
    phase("rule_id=new from_day=0 to_day=20 interval_days=7"),
    phase("rule_id=new from_day=20 to_day=50 interval_days=3.5 grace_days=2"),
    phase("rule_id=new from_day=50"),
    phase("rule_id=ben from_day=3 to_day=30 interval_days=10"),
    phase("rule_id=ben from_day=45 interval_days=20"),
    phase("rule_id=baby from_day=0 interval_days=7"),
    phase("rule_id=rare from_day=0 to_day=16 interval_days=5"),
]
BANDS = [
    band("rule_id=old analyte=neutrophils below=0.5 action=stop_for_good confirm_hours=24 then_weeks=2"),
    band(
        "rule_id=old analyte=neutrophils at_or_above=0.5 below=1.0 action=interrupt next_interval_days=1 "
        "until_at_or_above=1.0 confirm_hours=24 then_weeks=3"
    ),
    band(
        "rule_id=old analyte=neutrophils at_or_above=1.0 below=1.5 action=count_more_often next_interval_days=2.33 "
        "until_at_or_above=1.5 confirm_hours=24"
    ),
    band("rule_id=old analyte=neutrophils at_or_above=1.5 action=continue"),
    band("rule_id=old analyte=neutrophils below=1.0 action=do_not_start purpose=resume"),
    band("rule_id=old analyte=neutrophils below=1.5 action=do_not_start purpose=start"),
    band("rule_id=old analyte=neutrophils below=2.0 action=do_not_start purpose=restart"),
    band(
        "rule_id=new analyte=neutrophils below=2.4 fall_by=1.5 fall_within_days=14 action=count_more_often "
        "next_interval_days=3.5 until_at_or_above=2.4"
    ),
    band("rule_id=new analyte=neutrophils below=1.0 action=stop confirm_hours=24"),
    band("rule_id=new analyte=neutrophils at_or_above=1.0 below=1.5 action=seek_advice next_interval_days=30"),
    band(
        "rule_id=new analyte=wbc below=3.0 action=stop_for_good next_interval_days=1 until_at_or_above=3.5 "
        "until_in_a_row=2"
    ),
    band(
        "rule_id=new analyte=wbc at_or_above=3.0 below=3.5 action=count_more_often next_interval_days=3.5 "
        "until_at_or_above=3.5 then_weeks=1"
    ),
    band("rule_id=new analyte=wbc below=3.0 action=delay_cycle purpose=start"),
    band("rule_id=ben analyte=neutrophils below=0.5 action=interrupt"),
    band(
        "rule_id=ben analyte=neutrophils at_or_above=0.5 below=1.5 action=count_more_often next_interval_days=3 "
        "until_at_or_above=1.5 or_baseline=yes then_weeks=1"
    ),
    band("rule_id=ben analyte=neutrophils at_or_above=1.2 action=continue purpose=resume or_baseline=yes"),
    band("rule_id=ben analyte=neutrophils below=1.5 action=do_not_start purpose=restart or_baseline=yes"),
    band("rule_id=ends analyte=neutrophils below=1.0 action=interrupt next_interval_days=7 until_at_or_above=2.0"),
    band("rule_id=ends analyte=neutrophils below=1.5 lasting_days=7 action=admit"),
    band("rule_id=ends analyte=wbc below_share=0.75 action=reduce_dose"),
    band("rule_id=ends analyte=wbc below=3.5 lasting_days=0 action=seek_advice"),
    band("rule_id=days analyte=wbc below_share=0.5 action=interrupt next_interval_days=2 until_at_or_above=4.0"),
    band("rule_id=rare analyte=platelets below=50 action=repeat confirm_hours=48"),
    band("rule_id=rare analyte=platelets at_or_above=50 below=100 action=admit"),
]
PACK: dict[str, list[Row]] = {
    "monitoring_rules": RULES,
    "monitoring_phases": PHASES,
    "monitoring_thresholds": BANDS,
    "monitoring_unfound": [{"drug": "drug:e", "jurisdiction": "xx", "source_id": "design"}],
    "monitoring_courses": [
        {"drug": "*", "gap_days": "28", "effect_days": "", "source_id": "design"},
        {"drug": "drug:c", "gap_days": "5", "effect_days": "9", "source_id": "design"},
        {"drug": "drug:d", "gap_days": "0", "effect_days": "20", "source_id": "design"},
    ],
}
DRUGS = ("drug:a", "drug:b", "drug:c", "drug:d", "drug:e", "drug:z")
