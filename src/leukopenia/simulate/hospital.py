"""The simulated hospital: who is in it, what happens to them, and which dirt their records gather."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from random import Random

from leukopenia.contracts import Knowledge
from leukopenia.errors import UsageError
from leukopenia.simulate.cast import Role, cast
from leukopenia.simulate.chart import Chart
from leukopenia.simulate.departures import EVERY, MISSING_SHARE, Departures
from leukopenia.simulate.dirt import soil
from leukopenia.simulate.laboratory import report
from leukopenia.simulate.records import DAY, Hospital, Person, Truth, minute_of
from leukopenia.simulate.truth import truth
from leukopenia.simulate.world import World

FIRST, LAST = minute_of(2020, 1, 6), minute_of(2025, 12, 20)


def hospital(persons: int, seed: int, knowledge: Knowledge, departures: Departures = EVERY) -> Hospital:
    """Simulate a small hospital with dirty records and a known truth, in which every class of causes occurs.

    Parameters
    ----------
    persons : int
        How many persons; with 100 or more every story and every class of causes occurs, more often than chance has it.
    seed : int
        The same seed gives the same hospital, to the byte.
    knowledge : Knowledge
        The knowledge tables.
    departures : Departures
        How the records depart from a world that is as the knowledge tables say.

    Returns
    -------
    Hospital
        Records as they would be sent, the truth beside them, and how often each kind of dirt was put in.

    Raises
    ------
    UsageError
        If `persons` is below 1.
    """
    if persons < 1:
        raise UsageError("A hospital needs at least one person.", f"persons = {persons}", "Give 1 or more.")
    world = World(knowledge, seed, departures, textbook=True)
    return _hospital(range(1, persons + 1), f"{seed}", world, showcase=True)


def blocks(
    patients: int, seed: int, knowledge: Knowledge, departures: Departures = EVERY, size: int = 1000
) -> Iterator[Hospital]:
    """Simulate a hospital of any size, one block of patients after another.

    Parameters
    ----------
    patients : int
        How many patients.
    seed : int
        The same seed gives the same hospital, to the byte.
    knowledge : Knowledge
        The knowledge tables.
    departures : Departures
        How the records depart from a world that is as the knowledge tables say.
    size : int
        Patients of a block; the last one may hold fewer.

    Yields
    ------
    Hospital
        The block; no patient id and no row id occurs in two of them.

    Raises
    ------
    UsageError
        If `patients` is below 1.
    """
    world = World(knowledge, seed, departures)
    for members in batches(patients, size):
        yield _hospital(members, f"{seed}/{members.start}", world, showcase=False)


def batches(patients: int, size: int = 1000) -> list[range]:
    """The numbers of the patients of each block, from 1.

    Raises
    ------
    UsageError
        If `patients` is below 1.
    """
    if patients < 1:
        raise UsageError("A hospital needs at least one patient.", f"patients = {patients}", "Give 1 or more.")
    return [range(first, min(first + size, patients + 1)) for first in range(1, patients + 1, size)]


def block(members: range, seed: int, knowledge: Knowledge, departures: Departures = EVERY) -> Hospital:
    """One block of `blocks`, by the numbers of its patients: the same whether or not others were made before."""
    return _hospital(members, f"{seed}/{members.start}", World(knowledge, seed, departures), showcase=False)


def _hospital(members: range, seed: str, world: World, showcase: bool) -> Hospital:
    roles = cast(len(members), world, Random(f"{seed}/cast"), showcase)
    missing = MISSING_SHARE if world.departures.missing else 0.0
    admitted = [_admit(n, role, missing, Random(f"{seed}/{n}")) for n, role in zip(members, roles, strict=True)]
    clean = _joined(admitted)
    return soil(clean, Random(f"{seed}/dirt")) if world.departures.wrong else clean


def _admit(number: int, role: Role, missing: float, rng: Random) -> Hospital:
    latest = LAST // DAY - role.days
    origin = (latest if role.recent else rng.randrange(FIRST // DAY, latest)) * DAY
    home = rng.choices(("hospital", "practice", "clinic"), (3, 3, 2))[0]
    chart = Chart(_person(f"sim-{number:04d}", role, origin, rng), rng, origin, home)
    role.tell(chart)
    return _closed(chart, missing)


def _person(patient_id: str, role: Role, origin: int, rng: Random) -> Person:
    sex = role.sex or rng.choice(("female", "male"))
    if role.name == "newborn":
        return Person(patient_id, role.name, sex, origin + rng.randrange(DAY), "minute")
    age = rng.randint(*role.ages) * 365 + rng.randrange(365)
    return Person(patient_id, role.name, sex, origin - age * DAY)


def _closed(chart: Chart, missing: float) -> Hospital:
    """The finished chart of one person as a hospital of one; a share of the counts that a cause lowers is missing."""
    told = any(span.cause_id for span in chart.spans)
    draws = [draw for draw in chart.draws() if not told or chart.rng.random() >= missing]
    sent = [(draw, report(draw, chart.person, chart.rng)) for draw in draws]
    runs = truth(chart.person, chart.spans, sent) if draws else [Truth(chart.person.patient_id, chart.person.story)]
    results = [*chain.from_iterable(results for _, results in sent), *chart.results]
    return Hospital(
        (chart.person,),
        tuple(results),
        tuple(chart.drugs),
        tuple(chart.conditions),
        tuple(chart.encounters),
        tuple(chart.procedures),
        tuple(runs),
        (),
    )


def _joined(admitted: list[Hospital]) -> Hospital:
    return Hospital(
        tuple(chain.from_iterable(one.persons for one in admitted)),
        tuple(chain.from_iterable(one.results for one in admitted)),
        tuple(chain.from_iterable(one.drugs for one in admitted)),
        tuple(chain.from_iterable(one.conditions for one in admitted)),
        tuple(chain.from_iterable(one.encounters for one in admitted)),
        tuple(chain.from_iterable(one.procedures for one in admitted)),
        tuple(chain.from_iterable(one.truth for one in admitted)),
        (),
    )
