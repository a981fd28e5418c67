"""One tree of errors, each with its exit code, and the reason codes that stand in `issues`."""

from __future__ import annotations


class LeukopeniaError(Exception):
    """Misuse or bad input: what was wrong, what was found, what to do.

    Parameters
    ----------
    problem : str
        What was wrong, without any patient's value.
    found : str
        What was found instead.
    remedy : str
        What the user can do.
    """

    exit_code = 1

    def __init__(self, problem: str, found: str = "", remedy: str = "") -> None:
        self.problem, self.found, self.remedy = problem, found, remedy
        super().__init__("\n".join(part for part in (problem, found, remedy) if part))


class UsageError(LeukopeniaError):
    """An option or argument cannot be used as given."""

    exit_code = 2


class SourceError(LeukopeniaError):
    """The source cannot be read: absent, empty, unreadable, truncated or of no known format."""

    exit_code = 3


class MappingError(LeukopeniaError):
    """The source can be read, but its columns or codes cannot be understood."""

    exit_code = 4


class OutputError(LeukopeniaError):
    """The result cannot be written; what stood there before stands there still."""

    exit_code = 5


class KnowledgeError(LeukopeniaError):
    """A knowledge table, site map or policy contradicts itself."""

    exit_code = 6


class MissingPartError(LeukopeniaError):
    """An optional part (Spark, Excel) is not installed."""

    exit_code = 7


class RefusedError(LeukopeniaError):
    """No limit can be estimated: too few results, all equal, rounded too coarsely, or the healthy cannot be told."""

    exit_code = 8


EXIT_CODES = {
    0: "success",
    1: "an error of the program itself",
    2: UsageError.__doc__,
    3: SourceError.__doc__,
    4: MappingError.__doc__,
    5: OutputError.__doc__,
    6: KnowledgeError.__doc__,
    7: MissingPartError.__doc__,
    8: RefusedError.__doc__,
    130: "interrupted by the user",
}

REASONS = {
    # read
    "bad_line": "the line is not a record of the format (truncated, not JSON, wrong type)",
    "duplicate_record": "the same record stands more than once in the source",
    "other_resource": "a resource type that bears on nothing here",
    "not_valid_status": "entered in error or cancelled",
    "no_patient": "the record names no person",
    "no_person_row": "the person has records but no row of their own",
    "table_absent": "the source has no such table",
    "no_stratum": "a column that parts the results is empty, or the age is below the first band",
    "no_weight": "the result has no survey weight above 0",
    "no_count": "the number of results with this value is no whole number",
    "repeated": "a further result of a person who has one already",
    # harmonise
    "not_of_interest": "a test, drug or condition that bears on nothing here",
    "not_blood": "the specimen is not blood",
    "unknown_code": "looks like a cell count, but no map says which: add it to the site map",
    "unknown_unit": "the unit is not understood",
    "ambiguous_unit": "no unit, and the numbers can be read in more than one",
    "unit_inferred": "no unit; the only one in which the numbers make sense was taken",
    "code_contradicted": "unit and values say another quantity than the code; unit and values were followed",
    "no_time": "no time of the result",
    "no_value": "no value and no text",
    "not_resulted": "the laboratory gave no result",
    "word_result": "the result is a word; kept as a finding",
    "unreadable_result": "the result is neither a number nor a known word",
    "implausible_value": "the value cannot be a count in this unit",
    "thousandfold_unit": "value and range are a thousand times too large for the unit; read as a thousandth",
    "implausible_range": "the reference range cannot be one in this unit; it was dropped",
    "conflicting_results": "results of one person, time and test disagree; the lower one was kept",
    "component_unused": "a percentage without the white cells of its draw, so no count can be made of it",
    "not_given": "the drug was not given",
    "not_systemic": "the drug was given on the skin, in the eye or otherwise locally",
    "unknown_drug": "no known ingredient in the drug name or code",
    "ends_before_start": "the interval ends before it starts; the start alone was kept",
    # reference
    "no_laboratory_limit": "no lower limit of the laboratory, and the absolute cut-offs do not settle the grade",
    "no_published_limit": "no published interval for this analyte, age and sex in the chosen set",
    "age_unknown": "the rule needs an age, and the birth date is not known",
    "neonate_needs_hours": "a newborn's limits need the hour of birth",
    "no_interval": "a personal limit needs a lower and an upper limit of the population",
    "not_adult": "personal limits are for adults: the limits of children move with age",
    "interval_too_narrow": "the interval in force is no wider than the variation of one person",
    "too_few_earlier_counts": "too few earlier weeks in which all counts of the line are stable",
    "no_curve": "no percentile curve for this analyte, sex and group",
    "age_outside_curve": "the percentile curve does not reach to this age",
    # detect
    "no_criteria_for_age": "the standard has no criteria for this age",
    "no_numeric_term": "the standard has no numeric term for this analyte",
    "term_not_read": "the standard has a term, but its cut-offs could not be read in a source",
    "no_term": "the standard has no term for this analyte and direction",
    "term_excludes_hiv": "the term is not for people with HIV",
    "censored": "the result is censored on the side that decides",
    "no_unit": "no unit",
    "unit_not_allowed": "the unit is not on the list of the policy",
    "unknown_analyte": "no such analyte",
    # monitor
    "start_not_seen": "the records begin when the drug was already taken, or too near its start to know",
    "only_orders": "the drug was ordered, and nothing says that it was taken",
    "no_dose": "the records do not say in which dose the drug was taken",
    "end_unknown": "the records do not say whether the drug is still taken",
    "no_counts_at_all_in_source": "the source has no count of a line that the rule asks for",
    "no_fixed_interval": "the rule asks for counts and names no interval",
    "baseline_unknown": "the rule looks at the fall from the own baseline, which is not on record",
    "population_unknown": "rules differ between populations, and to which the person belongs is not known",
    "no_rule_found": "no rule was found for this drug and jurisdiction",
}
