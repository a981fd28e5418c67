"""Who is in the hospital: teaching cases, healthy persons, and persons whom a cause strikes as often as it does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from leukopenia.simulate import awaited, chemotherapy, monitoring, ordinary, struck
from leukopenia.simulate.causes import UNEXPLAINED, Cause
from leukopenia.simulate.chart import Chart
from leukopenia.simulate.sampling import look_for_years
from leukopenia.simulate.taken import bystanders
from leukopenia.simulate.world import World


@dataclass(frozen=True)
class Role:
    """One person's part: whom it befalls (years of age, sex), how long it lasts, and what happens.

    A recent one ends with the records.
    """

    name: str
    tell: Callable[[Chart], None]
    days: int
    ages: tuple[int, int] = (19, 85)
    sex: str = ""
    recent: bool = False


@dataclass(frozen=True)
class Story:
    """A teaching case that is no cause's doing: its share of persons, and its part."""

    name: str
    share: float
    tell: Callable[[Chart, int], None]
    days: int
    ages: tuple[int, int] = (19, 85)
    sex: str = ""
    recent: bool = False

    def role(self, nth: int) -> Role:
        """The part of the nth person of this story."""
        return Role(self.name, lambda chart: self.tell(chart, nth), self.days, self.ages, self.sex, self.recent)


STORIES = (
    Story("clumps", 0.01, ordinary.clumps, 220),
    Story("newborn", 0.03, ordinary.newborn, 12, (0, 0)),
    Story("child", 0.05, ordinary.child, 620, (3, 15)),
    Story("pregnancy", 0.04, ordinary.pregnancy, 380, (20, 41), "female"),
    Story("aged", 0.02, ordinary.aged, 520, (91, 98)),
    Story("unmeasured", 0.01, ordinary.unmeasured, 120),
)
MONITORED = Story("monitored", 0.0175, monitoring.monitored, monitoring.DAYS, recent=True)
HEALTHY = Story("healthy", 0.0, ordinary.healthy, 920)

STRUCK_SHARE = 0.4
"""Share of persons whose counts a cause brings down."""

TREATED_SHARE = 0.1
"""Share of persons with drugs and conditions as common as among the others, and no cause."""

_DAYS = 1500
_AGES = {"child": (3, 16), "": (19, 64), "elderly": (66, 88)}
_AGE_SHARES = {"child": 0.05, "": 0.6, "elderly": 0.35}
SHOWCASE = (
    *(
        (cause, True)
        for cause in (
            *("drug:clozapine", "drug:valproate", "drug:azathioprine", "drug:prednisone", "drug:palbociclib"),
            *("drug:rituximab", "drug:valganciclovir", "drug:silver-sulfadiazine", "drug:paclitaxel") * 2,
            *("cond:acute-viral-infection", "cond:hiv", "cond:cyclic-neutropenia", "cond:hypersplenism", "cond:sle")
            * 2,
            *("drug:docetaxel", "cond:cytotoxic-chemotherapy", "cond:acute-leukaemia", "cond:aplastic-anaemia") * 5,
            *("cond:sepsis", "cond:malaria", "cond:fungal", "cond:radiation", "cond:thyroid", "cond:haemodialysis") * 2,
        )
    ),
    *(
        (cause, False)
        for cause in (
            *("cond:ethnic-neutropenia", "cond:b12-deficiency", "cond:copper-deficiency", UNEXPLAINED),
            *("cond:pseudoleukopenia-invitro", "cond:pseudoleukopenia-infection") * 3,
        )
    ),
)
"""A cause of each class, and whether it is on record: a single hospital shows them whatever chance has in store."""


def cast(persons: int, world: World, rng: Random, showcase: bool) -> list[Role]:
    """The parts of so many persons, in the order in which they come.

    Parameters
    ----------
    persons : int
        With 100 or more every story occurs.
    showcase : bool
        Whether every class of causes occurs, too; then the causes are not as frequent as they are.
    """
    each = 1 if persons >= 100 else 0
    told = [story.role(nth) for story in STORIES for nth in range(max(each, round(story.share * persons)))]
    told += [MONITORED.role(nth) for nth in range(round(MONITORED.share * persons))]
    shown = [_shown(world, *one, rng) for one in SHOWCASE] if showcase and each else []
    strikes = [_role(world, *world.strike(rng), rng) for _ in range(round(STRUCK_SHARE * persons) - len(shown))]
    told += [*shown, *strikes, *(_treated(world) for _ in range(round(TREATED_SHARE * persons)))]
    told += [_awaited(world, nth) for nth in range(awaited.SHOWN if shown else 0)]
    told = told[:persons]
    told += [HEALTHY.role(nth) for nth in range(persons - len(told))]
    rng.shuffle(told)
    return told


def _shown(world: World, cause: str, recorded: bool, rng: Random) -> Role:
    return _role(world, world.unexplained if cause == UNEXPLAINED else world.causes[cause], recorded, rng)


def _role(world: World, cause: Cause, recorded: bool, rng: Random) -> Role:
    teller = chemotherapy.tell if chemotherapy.is_cyclic(cause) and recorded else struck.tell

    def tell(chart: Chart) -> None:
        if ages == _AGES["child"]:
            ordinary.young(chart)
        teller(chart, world, cause, recorded)

    ages = _AGES[_age(world, cause, rng)]
    return Role(cause.cause_class, tell, _DAYS, ages)


def _age(world: World, cause: Cause, rng: Random) -> str:
    told = world.effects[cause.id]
    weights = [
        share * math.exp(sum(told.get((age, "present" if age == its else "absent"), 0.0) for age in _AGES if age))
        for its, share in _AGE_SHARES.items()
    ]
    return rng.choices(list(_AGE_SHARES), weights)[0]


def _awaited(world: World, nth: int) -> Role:
    def tell(chart: Chart) -> None:
        awaited.awaited(chart, world, nth)

    return Role("chemotherapy", tell, awaited.DAYS, _AGES["elderly"], recent=True)


def _treated(world: World) -> Role:
    def tell(chart: Chart) -> None:
        bystanders(chart, world, look_for_years(chart, 10.0) / 2, 700.0)

    return Role("treated", tell, _DAYS)
