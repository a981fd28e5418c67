"""Drugs in free text -> ingredients: several in one text, regimens by their letters, misspelt names, unknown names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from leukopenia.contracts import Knowledge
from leukopenia.harmonise import drugs
from leukopenia.harmonise.phrases import Found, Phrasebook, Target, denied, listed, said_before, words

_BETWEEN = re.compile(r"\s*(?:[/,;+&()]|\b(?:and|plus|or|with|then|followed by)\b)\s*")
_NO_NAME = listed(
    "a once twice three times of for on in to and or by at per with daily oral orally intravenous iv im sc mg mcg g "
    "kg day week weekly month "
    "monthly year cycle course tablet capsule dose therapy treatment drug medication agent multiple several other "
    "various unspecified regular regularly intermittent induction consolidation maintenance prophylaxis prophylactic "
    "low high long term short combination based containing pulse infusion injection standard"
)
_USE = listed(
    "use user using treatment treated therapy taking took on exposure exposed ingestion intake supplement "
    "supplementation abuse overdose cream medication prescribed receiving received started chemotherapy"
)
_FAMILY = listed("family mother father")


@dataclass(frozen=True)
class Named:
    """One thing that a drug text names: an ingredient (drug:...) or a condition that stands for it (cond:...)."""

    id: str
    words: str
    known: bool = True
    fuzzy: bool = False


class DrugTexts:
    """Reads drug texts with ingredient_names and regimens."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        regimens = [(row["regimen"], Target("regimen", row["ingredient"])) for row in knowledge["regimens"]]
        names = [(row["name"], Target("drug", row["ingredient"])) for row in knowledge["ingredient_names"]]
        self._book = Phrasebook([*names, *regimens], misspelt=("drug",))

    def read(self, text: str) -> list[Named]:
        """Everything that a drug text names; a name that no table knows gives `drug:` and the name.

        Examples
        --------
        >>> from leukopenia.knowledge import load
        >>> [named.id for named in DrugTexts(load()).read("amoxicillin and xylomazine 5 mg")]
        ['drug:amoxicillin', 'drug:xylomazine']
        """
        found = self._book.find(words(text))
        named = list(_named(found))
        covered = {word for one in found for word in one.shown.split()}
        for part in _BETWEEN.split(text.lower()):
            name = [word for word in words(part) if word.text not in _NO_NAME and not word.text[0].isdigit()]
            shown = [word.shown for word in name]
            if shown and not covered & set(shown) and max(map(len, shown)) > 2:
                named.append(Named(f"drug:{'-'.join(shown)}", " ".join(shown), known=False))
        return list(dict.fromkeys(named))

    def told_in(self, text: str) -> list[Named]:
        """What a condition or sign tells of exposures: 'zinc denture cream', 'treated with carbimazole'.

        Regimens that stand for a condition always count; drugs only where the text speaks of their use.
        """
        said = words(text)
        found = self._book.find(said)
        used = bool(_USE & {word.text for word in said})
        held = [
            one for one in found if not denied(said, found, one) and not said_before(said, one, _FAMILY, turns=False)
        ]
        # In a sentence 'ac' and 'ep' are seldom regimens.
        return [named for named in _named(held) if named.id.startswith("cond:") or (used and len(named.words) > 2)]

    def local(self, drugs_given: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those of some drug texts and routes that act on the skin, in the eye or otherwise locally."""
        signals = [{"system": "", "code": "", "name": name, "route": route, "n": 1} for name, route in drugs_given]
        return {(row["name"], row["route"]) for row in drugs.understand(signals, self._knowledge) if row["local"]}


def _named(found: list[Found]) -> Iterator[Named]:
    for one in found:
        for target in one.targets:
            yield Named(target.id, one.shown, fuzzy=one.fuzzy)
