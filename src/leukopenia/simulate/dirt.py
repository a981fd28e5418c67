"""Dirt: what makes real records hard to read, put into clean ones without touching what the truth rests on.

Samples at which a low run begins, reaches its nadir or ends are left alone, so that the truth stays readable
from what is written. Broken lines and stray resources are the business of the writer, see `fhir`.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from leukopenia.simulate import dirt_others, dirt_results
from leukopenia.simulate.kind import spread
from leukopenia.simulate.records import Hospital, Result, Truth, clock

WELL = ("healthy", "child", "aged")


def soil(hospital: Hospital, rng: Random) -> Hospital:
    """Put every kind of dirt into a clean hospital, each at least once where any row fits.

    Parameters
    ----------
    hospital : Hospital
        Clean records; they are not changed.
    rng : random.Random
        Chooses the rows.

    Returns
    -------
    Hospital
        Dirty records with the same truth, and the number of rows soiled by each kind.
    """
    well = {person.patient_id for person in hospital.persons if person.story in WELL}
    kept = _landmarks(hospital.truth)
    results, of_results = spread(
        hospital.results, dirt_results.kinds(well), rng, lambda row: (row.patient_id, _time(row)) not in kept
    )
    drugs, of_drugs = spread(hospital.drugs, dirt_others.drug_kinds(well), rng)
    conditions, of_conditions = spread(hospital.conditions, dirt_others.condition_kinds(well), rng)
    persons, of_persons = spread(hospital.persons, dirt_others.PERSON_KINDS, rng)
    return replace(
        hospital,
        persons=persons,
        results=results,
        drugs=drugs,
        conditions=conditions,
        dirt=(*of_results, *of_drugs, *of_conditions, *of_persons),
    )


def _landmarks(truth: tuple[Truth, ...]) -> set[tuple[str, str]]:
    return {(run.patient_id, time) for run in truth for time in (run.onset, run.nadir_time, run.recovery) if time}


def _time(row: Result) -> str:
    return "" if row.minute is None else clock(row.minute, row.precision)
