"""The simulated hospital: who is in it, what happens to them, and which dirt their records gather."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from random import Random

from leukopenia.contracts import Knowledge
from leukopenia.errors import UsageError
from leukopenia.simulate import disease, monitoring, ordinary, treatment
from leukopenia.simulate.chart import Chart
from leukopenia.simulate.departures import EVERY, Departures
from leukopenia.simulate.dirt import soil
from leukopenia.simulate.laboratory import report
from leukopenia.simulate.records import DAY, Hospital, Person, Truth, minute_of
from leukopenia.simulate.truth import truth

FIRST, LAST = minute_of(2020, 1, 6), minute_of(2025, 12, 20)


@dataclass(frozen=True)
class Story:
    """A kind of course: its share of persons, whom it befalls (years of age, sex), how long it lasts.

    A recent one ends with the records.
    """

    name: str
    share: float
    tell: Callable[[Chart, int], None]
    days: int
    ages: tuple[int, int] = (19, 85)
    sex: str = ""
    recent: bool = False


STORIES = (
    Story("chemotherapy", 0.055, treatment.chemotherapy, 260, (35, 78), "female"),
    Story("agranulocytosis", 0.02, treatment.agranulocytosis, 280),
    Story("mild_drug", 0.035, treatment.mild_drug, 520),
    Story("steroid", 0.025, treatment.steroid, 120, (50, 85)),
    Story("viral", 0.055, disease.viral, 80),
    Story("sepsis", 0.02, disease.sepsis, 70),
    Story("hiv", 0.015, disease.hiv, 740, (20, 60)),
    Story("duffy_null", 0.02, disease.duffy_null, 1480),
    Story("cyclic", 0.005, disease.cyclic, 420, (19, 45)),
    Story("aplastic", 0.01, disease.aplastic, 350),
    Story("leukaemia", 0.01, disease.leukaemia, 240),
    Story("hypersplenism", 0.02, disease.hypersplenism, 1200, (40, 75)),
    Story("clumps", 0.01, ordinary.clumps, 220),
    Story("newborn", 0.03, ordinary.newborn, 12, (0, 0)),
    Story("child", 0.05, ordinary.child, 620, (3, 15)),
    Story("pregnancy", 0.04, ordinary.pregnancy, 380, (20, 41), "female"),
    Story("aged", 0.02, ordinary.aged, 520, (91, 98)),
    Story("unmeasured", 0.01, ordinary.unmeasured, 120),
)
MONITORED = Story("monitored", 0.0175, monitoring.monitored, monitoring.DAYS, recent=True)
HEALTHY = Story("healthy", 0.0, ordinary.healthy, 920)


def hospital(persons: int = 400, seed: int = 1) -> Hospital:
    """Simulate a small hospital with dirty records and a known truth.

    Parameters
    ----------
    persons : int
        How many persons; with 100 or more every story occurs.
    seed : int
        The same seed gives the same hospital, to the byte.

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
    return _hospital(range(1, persons + 1), f"{seed}", EVERY)


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
    for members in batches(patients, size):
        yield block(members, seed, knowledge, departures)


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
    return _hospital(members, f"{seed}/{members.start}", departures)


def _hospital(members: range, seed: str, departures: Departures) -> Hospital:
    cast = _cast(len(members), Random(f"{seed}/cast"))
    admitted = [_admit(n, *role, Random(f"{seed}/{n}")) for n, role in zip(members, cast, strict=True)]
    clean = _joined(admitted)
    return soil(clean, Random(f"{seed}/dirt")) if departures.wrong else clean


def _cast(persons: int, rng: Random) -> list[tuple[Story, int]]:
    """Which story befalls whom, and which number it has among its kind."""
    each = 1 if persons >= 100 else 0
    told = [(story, nth) for story in STORIES for nth in range(max(each, round(story.share * persons)))][:persons]
    watched = [(MONITORED, nth) for nth in range(min(round(MONITORED.share * persons), persons - len(told)))]
    told += [(HEALTHY, nth) for nth in range(persons - len(told) - len(watched))] + watched
    rng.shuffle(told)
    return told


def _admit(number: int, story: Story, nth: int, rng: Random) -> Hospital:
    latest = LAST // DAY - story.days
    origin = (latest if story.recent else rng.randrange(FIRST // DAY, latest)) * DAY
    home = rng.choices(("hospital", "practice", "clinic"), (3, 3, 2))[0]
    person = _person(f"sim-{number:04d}", story, origin, rng)
    chart = Chart(person, rng, origin, home)
    story.tell(chart, nth)
    return _closed(chart)


def _person(patient_id: str, story: Story, origin: int, rng: Random) -> Person:
    sex = story.sex or rng.choice(("female", "male"))
    if story.name == "newborn":
        return Person(patient_id, story.name, sex, origin + rng.randrange(DAY), "minute")
    age = rng.randint(*story.ages) * 365 + rng.randrange(365)
    return Person(patient_id, story.name, sex, origin - age * DAY)


def _closed(chart: Chart) -> Hospital:
    """The finished chart of one person as a hospital of one."""
    draws = chart.draws()
    sent = [(draw, report(draw, chart.person, chart.rng)) for draw in draws]
    told = truth(chart.person, chart.spans, sent) if draws else [Truth(chart.person.patient_id, chart.person.story)]
    results = [*chain.from_iterable(results for _, results in sent), *chart.results]
    return Hospital(
        (chart.person,),
        tuple(results),
        tuple(chart.drugs),
        tuple(chart.conditions),
        tuple(chart.encounters),
        tuple(chart.procedures),
        tuple(told),
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
