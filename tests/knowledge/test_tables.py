"""The knowledge tables must be true to their own rules: sources, keys, ages, limits, names."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from leukopenia import knowledge
from leukopenia.errors import KnowledgeError

KNOWLEDGE = Path(__file__).parents[2] / "src" / "leukopenia" / "knowledge"
TOP = 9999999

KEYS = {
    "ingredients": ("id",),
    "ingredient_names": ("name",),
    "routes": ("system", "word"),
    "condition_codes": ("condition", "system", "code"),
    "condition_names": ("name",),
    "intervals": ("interval_id",),
    "interval_choice": ("context", "analyte", "sex", "age_from_hours"),
    "febrile_neutropenia": ("definition",),
    "biological_variation": ("analyte", "interval", "sex", "method", "source_id"),
    "mascc": ("item",),
    "cisne": ("item",),
    "site_maps/mimic-iii": ("code",),
    "site_maps/mimic-iv": ("code",),
    "site_maps/eicu": ("code",),
}
SIDER_ONLY = {
    "drug:gentamicin",
    "drug:fusidic-acid",
    "drug:didanosine",
    "drug:maraviroc",
    "drug:aminoglutethimide",
    "drug:memantine",
    "drug:rasburicase",
    "drug:nitisinone",
    "drug:zafirlukast",
    "drug:meprobamate",
}

Row = dict[str, str]


def rows(table: str) -> list[Row]:
    with (KNOWLEDGE / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def bibliography() -> list[str]:
    text = (KNOWLEDGE / "references.bib").read_text(encoding="utf-8")
    return re.findall(r"(?m)^@\w+\{([^,\s]+),", text)


def words(text: str) -> str:
    """A name as a matcher sees it: letters and digits, everything else a blank."""
    return re.sub(r"[^a-z0-9]+", " ", text).strip()


@pytest.mark.parametrize("table", KEYS)
def test_no_key_stands_twice(table: str) -> None:
    found = [tuple(row[column] for column in KEYS[table]) for row in rows(table)]
    assert sorted(found) == sorted(set(found))


def cited(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            yield from filter(None, row.get("source_id", "").split(";"))


@pytest.mark.parametrize("path", sorted(KNOWLEDGE.rglob("*.csv")), ids=lambda path: path.stem)
def test_every_source_resolves(path: Path) -> None:
    assert set(cited(path)) <= set(bibliography())


@pytest.mark.parametrize("table", KEYS)
def test_every_row_names_a_source(table: str) -> None:
    if table != "interval_choice":
        assert not [row for row in rows(table) if not row["source_id"]]


def test_bibliography_has_each_entry_once() -> None:
    keys = bibliography()
    assert len(keys) == len(set(keys))


def test_no_row_rests_on_sider() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in KNOWLEDGE.rglob("*.csv")).lower()
    assert not re.search(r"\bsider\b", text)
    assert not {row["id"] for row in rows("ingredients")} & SIDER_ONLY


@pytest.mark.parametrize("table", KEYS)
def test_rows_have_as_many_cells_as_the_header(table: str) -> None:
    with (KNOWLEDGE / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
        lengths = {len(row) for row in csv.reader(lines)}
    assert len(lengths) == 1


# --- drugs


def test_ingredient_ids_have_their_shape() -> None:
    assert not [row["id"] for row in rows("ingredients") if not re.fullmatch(r"drug:[a-z0-9-]+", row["id"])]


@pytest.mark.parametrize(
    ("column", "shape"),
    [
        ("atc", r"[A-Z]\d\d[A-Z]{2}\d\d"),
        ("atc_superseded", r"[A-Z]\d\d[A-Z]{2}\d\d"),
        ("rxnorm", r"\d{2,8}"),
        ("omop_concept_id", r"\d{5,9}"),
    ],
)
def test_a_drug_code_has_its_shape_and_one_ingredient(column: str, shape: str) -> None:
    owners: dict[str, list[str]] = defaultdict(list)
    for row in rows("ingredients"):
        for code in filter(None, row[column].split(";")):
            assert re.fullmatch(shape, code), (row["id"], code)
            owners[code].append(row["id"])
    assert not {code: ids for code, ids in owners.items() if len(ids) > 1}


def test_current_and_superseded_atc_codes_do_not_meet() -> None:
    current = {code for row in rows("ingredients") for code in row["atc"].split(";") if code}
    former = {code for row in rows("ingredients") for code in row["atc_superseded"].split(";") if code}
    assert not current & former


def test_groups_are_known_and_hold_what_their_name_says() -> None:
    members: dict[str, set[str]] = defaultdict(set)
    for row in rows("ingredients"):
        for group in filter(None, row["groups"].split(";")):
            members[group].add(row["name"])
    assert set(members) == {"chemotherapy", "g_csf", "gm_csf", "corticosteroid"}
    assert {"cytarabine", "cisplatin", "paclitaxel", "hydroxycarbamide"} <= members["chemotherapy"]
    assert not {"rituximab", "imatinib", "azathioprine", "celecoxib"} & members["chemotherapy"]
    assert members["g_csf"] == {"filgrastim", "lenograstim", "pegfilgrastim"}


def test_every_ingredient_has_a_name_and_every_name_an_ingredient() -> None:
    ids = {row["id"] for row in rows("ingredients")}
    assert {row["ingredient"] for row in rows("ingredient_names")} == ids


def test_names_are_lower_case_ascii_and_long_enough() -> None:
    for row in rows("ingredient_names"):
        name = row["name"]
        assert name == name.lower().strip() == unicodedata.normalize("NFKD", name), name
        assert name.isascii() and len(words(name)) >= 4, name
        assert row["kind"] in {"inn", "spelling", "salt", "brand"}, name


def test_no_name_means_two_ingredients_however_it_is_punctuated() -> None:
    owners: dict[str, set[str]] = defaultdict(set)
    for row in rows("ingredient_names"):
        owners[words(row["name"])].add(row["ingredient"])
    assert not {name: ids for name, ids in owners.items() if len(ids) > 1}


def longest_matches(text: str) -> set[str]:
    owners = {words(row["name"]): row["ingredient"] for row in rows("ingredient_names")}
    names = "|".join(re.escape(name) for name in sorted(owners, key=len, reverse=True))
    found = re.findall(rf"(?<![a-z0-9])(?:{names})(?![a-z0-9])", words(text.lower()))
    return {owners[name] for name in found}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("MetRONIDAZOLE (FLagyl)", {"drug:metronidazole"}),
        ("Sulfameth/Trimethoprim DS", {"drug:cotrimoxazole"}),
        ("PIPERACILLIN SOD-TAZOBACTAM SO 3-0.375 G IV SOLR", {"drug:piperacillin-tazobactam"}),
        ("divalproex sod. sprinkles", {"drug:valproate"}),
        ("CycloSPORINE (Neoral) MODIFIED", {"drug:ciclosporin"}),
        ("Filgrastim-sndz", {"drug:filgrastim"}),
        ("silver sulfadiazine 1% cream", {"drug:silver-sulfadiazine"}),
        ("peginterferon alfa-2a 180 mcg", {"drug:peginterferon-alfa-2a"}),
        ("quinine sulfate", {"drug:quinine"}),
        ("HYDROCODONE/APAP 5MG/325MG", {"drug:paracetamol"}),
        ("5 ML VIAL : DILTIAZEM HCL 25 MG/5ML IV SOLN", set()),
        ("Escitalopram Oxalate", set()),
        ("Esomeprazole sodium", set()),
        ("Emtricitabine-Tenofovir (Truvada)", set()),
        ("Penicillin V Potassium", set()),
        ("Sodium Chloride 0.9% Flush", set()),
    ],
)
def test_drug_texts_of_real_records(text: str, found: set[str]) -> None:
    assert longest_matches(text) == found


def test_routes_are_systemic_or_local_and_not_both() -> None:
    routes: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows("routes"):
        assert row["route"] in {"systemic", "local"}
        assert row["word"] == row["word"].lower()
        routes[row["system"], words(row["word"])].add(row["route"])
    assert not {word: found for word, found in routes.items() if len(found) > 1}


# --- conditions


def test_condition_codes_have_their_shape() -> None:
    shapes = {
        "icd10cm": r"[A-Z]\d[0-9A-Z]{1,5}",
        "icd10": r"[A-Z]\d{2,3}",
        "icd9cm": r"(\d{3}|V\d\d|E\d{3})\d{0,2}",
        "snomed": r"\d{6,18}",
        "omop": r"\d{5,9}",
    }
    for row in rows("condition_codes"):
        assert re.fullmatch(shapes[row["system"]], row["code"]), row
        assert row["match"] in {"prefix", "exact"}
        assert row["match"] == "exact" or row["system"].startswith("icd"), row
        assert re.fullmatch(r"(cond|finding):[a-z0-9_-]+", row["condition"]), row


def test_a_coded_low_count_is_a_finding_and_an_unspecific_code_no_cause() -> None:
    causes = [row for row in rows("condition_codes") if row["condition"].startswith("cond:")]
    unspecific = {"D70", "D708", "D709", "D7281", "D72819", "D61818", "2880", "28800", "2885", "E538"}
    assert not [row for row in causes if row["code"] in unspecific]


@pytest.mark.parametrize(
    ("system", "code"),
    [
        ("icd10cm", "B20"),
        ("icd10cm", "Z21"),
        ("icd10", "B24"),
        ("icd9cm", "042"),
        ("icd9cm", "V08"),
        ("snomed", "86406008"),
        ("omop", "439727"),
    ],
)
def test_hiv_is_known_in_every_system(system: str, code: str) -> None:
    hiv = {(row["system"], row["code"]) for row in rows("condition_codes") if row["condition"] == "cond:hiv"}
    assert (system, code) in hiv


def test_condition_names_are_phrases_that_a_screening_test_does_not_contain() -> None:
    names = {words(row["name"]) for row in rows("condition_names")}
    for text in ("encounter for screening for hiv", "hearing aids", "influenza vaccination", "tb skin test"):
        assert not [name for name in names if f" {name} " in f" {text} "], text


# --- reference intervals


def test_low_is_below_high_and_numbers_are_numbers() -> None:
    for row in rows("intervals"):
        low, high = row["low"], row["high"]
        assert low or high, row["interval_id"]
        assert not (low and high) or 0 <= float(low) < float(high), row["interval_id"]
        assert 0 <= int(row["age_from_hours"]) < int(row["age_to_hours"]) <= TOP
        assert row["population"] and row["percentiles"], row["interval_id"]


def test_the_sources_that_conflict_are_all_there() -> None:
    general = [row for row in rows("intervals") if int(row["age_from_hours"]) <= 157788 < int(row["age_to_hours"])]
    lower = {
        a: [float(row["low"]) for row in general if row["analyte"] == a and row["low"]] for a in ("wbc", "neutrophils")
    }
    assert (min(lower["wbc"]), max(lower["wbc"])) == (2.51, 5.7)
    assert (min(lower["neutrophils"]), max(lower["neutrophils"])) == (0.82, 3.7)
    assert {row["context"] for row in rows("intervals")} == set(knowledge.CONTEXTS)


def test_weeks_of_gestation_stand_with_pregnancy_alone() -> None:
    for row in rows("intervals"):
        weeks = row["gestation_from_weeks"], row["gestation_to_weeks"]
        assert (row["context"] == "pregnant") == all(weeks) == any(weeks), row["interval_id"]
        if row["context"] == "pregnant":
            assert row["sex"] == "female" and int(weeks[0]) < int(weeks[1]) <= 41


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("low", "9.0"),
        ("percentiles", ""),
        ("context", "martian"),
        ("age_to_hours", "0"),
        ("gestation_from_weeks", "8"),
    ],
)
def test_an_interval_that_contradicts_itself_is_refused(column: str, cell: str) -> None:
    row = next(row for row in rows("intervals") if row["interval_id"] == "nhanes-neutrophils-any-18y")
    knowledge.check_intervals([row])
    with pytest.raises(KnowledgeError, match="nhanes-neutrophils-any-18y"):
        knowledge.check_intervals([row | {column: cell}])


def test_a_list_without_percentiles_is_never_chosen() -> None:
    percentiles = {row["interval_id"]: row["percentiles"] for row in rows("intervals")}
    chosen = [row["interval_id"] for row in rows("interval_choice") if row["interval_id"]]
    assert "not stated" not in {percentiles[interval] for interval in chosen}
    quoted = next(row for row in rows("interval_choice") if row["analyte"] == "wbc") | {
        "interval_id": "quoted-uk-oxford-wbc"
    }
    with pytest.raises(KnowledgeError, match="quoted-uk-oxford-wbc"):
        knowledge.check_choice([quoted], rows("intervals"))


def test_the_choice_covers_every_age_of_either_sex_once() -> None:
    spans: dict[tuple[str, str, str], list[tuple[int, int]]] = defaultdict(list)
    for row in rows("interval_choice"):
        for sex in ("male", "female") if row["sex"] == "any" else (row["sex"],):
            span = int(row["age_from_hours"]), int(row["age_to_hours"])
            spans[row["context"], row["analyte"], sex].append(span)
    for key, found in spans.items():
        ordered = sorted(found)
        assert ordered[0][0] == 0 and ordered[-1][1] == TOP, key
        assert all(end == start for (_, end), (start, _) in pairwise(ordered)), key
    analytes = {analyte for context, analyte, _ in spans if context == "general"}
    assert analytes == {row["analyte"] for row in rows("intervals")}


def test_a_chosen_interval_is_for_that_analyte_sex_context_and_age() -> None:
    intervals = {row["interval_id"]: row for row in rows("intervals")}
    for row in rows("interval_choice"):
        if not row["interval_id"]:
            assert row["note"], "an age without limits says why"
            continue
        chosen = intervals[row["interval_id"]]
        assert (chosen["analyte"], chosen["context"]) == (row["analyte"], row["context"])
        assert chosen["sex"] in ("any", row["sex"])
        assert int(chosen["age_from_hours"]) <= int(row["age_from_hours"])
        assert int(row["age_to_hours"]) <= int(chosen["age_to_hours"])


def test_known_limits_stand_as_published() -> None:
    limits = {row["interval_id"]: (float(row["low"]), row["high"]) for row in rows("intervals") if row["low"]}
    assert limits["nhanes-neutrophils-any-18y"] == (1.83, "8.30")
    assert limits["nhanes-wbc-any-18y"] == (3.99, "12.21")
    assert limits["duffy-null-usa-neutrophils"] == (1.21, "5.39")
    assert limits["newborn-neutrophils-72h-28d"] == (1.75, "")


def test_a_duffy_null_limit_is_lower_than_the_general_one() -> None:
    low = {row["interval_id"]: float(row["low"]) for row in rows("intervals") if row["low"]}
    for cohort in ("namibia", "saudi-arabia", "uk", "usa"):
        assert low[f"duffy-null-{cohort}-neutrophils"] < low["nhanes-neutrophils-any-18y"]


# --- limits and curves of the United States


@pytest.mark.parametrize(
    ("analyte", "ages", "low", "low_se", "high", "high_se"),
    [
        ("wbc", ("157788", "9999999"), 3.99, 0.033, 12.21, 0.10),
        ("neutrophils", ("157788", "9999999"), 1.83, 0.024, 8.30, 0.09),
        ("lymphocytes", ("157788", "9999999"), 1.00, 0.012, 3.75, 0.03),
        ("neutrophils", ("8766", "26298"), 1.07, 0.04, 6.97, 0.265),
    ],
)
def test_limits_agree_with_those_found_by_half_sample_replication(
    analyte: str, ages: tuple[str, str], low: float, low_se: float, high: float, high_se: float
) -> None:
    row = next(
        row
        for row in rows("nhanes_limits")
        if (row["analyte"], row["group"], row["sex"]) == (analyte, "all", "any")
        and (row["age_from_hours"], row["age_to_hours"]) == ages
    )
    assert float(row["low"]) == pytest.approx(low, abs=0.006)
    assert float(row["high"]) == pytest.approx(high, abs=0.006)
    assert float(row["low_se"]) == pytest.approx(low_se, rel=0.1)
    assert float(row["high_se"]) == pytest.approx(high_se, rel=0.25)


def test_limits_and_published_intervals_of_the_same_survey_agree() -> None:
    known = {
        (row["analyte"], row["sex"], row["age_from_hours"], row["age_to_hours"]): float(row["low"])
        for row in rows("intervals")
        if row["set"] == "nhanes-2011-2018" and row["analyte"] in ("wbc", "neutrophils", "lymphocytes")
    }
    seen = 0
    for row in rows("nhanes_limits"):
        key = row["analyte"], row["sex"], row["age_from_hours"], row["age_to_hours"]
        if row["group"] == "all" and key in known:
            assert float(row["low"]) == pytest.approx(known[key], abs=0.0051), key
            seen += 1
    assert seen == len(known)


def test_a_curve_has_ascending_ages_without_jumps() -> None:
    groups: dict[tuple[str, str, str], list[tuple[float, float, float]]] = defaultdict(list)
    for row in rows("lms"):
        point = float(row["age_years"]), float(row["low"]), float(row["m"])
        groups[row["analyte"], row["group"], row["sex"]].append(point)
    assert len(groups) == 5 * (3 + 5 * 2)
    for key, points in groups.items():
        assert [age for age, _, _ in points] == sorted(age for age, _, _ in points), key
        assert (points[0][0], points[-1][0]) == (1 if key[1] == "all" else 2, 80), key
        for earlier, later in pairwise(points):
            assert 0.75 < later[1] / earlier[1] < 1.25 and 0.75 < later[2] / earlier[2] < 1.25, (key, later)


def test_percentiles_that_cannot_be_are_refused() -> None:
    row = rows("lms")[0]
    knowledge.check_percentiles("lms", [row], ("low", "m", "high"))
    for change in ({"low": row["high"]}, {"m_se": "0"}, {"low": "-1"}):
        with pytest.raises(KnowledgeError, match="wbc all any 1"):
            knowledge.check_percentiles("lms", [row | change], ("low", "m", "high"))


# --- febrile neutropenia and its scores


def test_scores_add_up_to_their_published_maximum() -> None:
    mascc = {row["item"]: int(row["points"]) for row in rows("mascc")}
    burden = max(points for item, points in mascc.items() if item.startswith("burden"))
    assert burden + sum(points for item, points in mascc.items() if not item.startswith("burden")) == 26
    assert sum(int(row["points"]) for row in rows("cisne")) == 8


def test_fever_definitions_are_in_degrees_celsius_and_cells() -> None:
    for row in rows("febrile_neutropenia"):
        assert 37.5 <= float(row["single_temperature_above"]) <= 39
        assert 0.1 <= float(row["anc_below"]) <= 1.5
        sustained = (row["sustained_temperature_from"], row["sustained_minutes"])
        assert all(sustained) or not any(sustained), row["definition"]


# --- site maps


@pytest.mark.parametrize("site", ["mimic-iii", "mimic-iv", "eicu"])
def test_a_site_map_names_components_specimens_and_origins_that_exist(site: str) -> None:
    components = {row["component"] for row in rows("components")}
    specimens = {row["specimen"] for row in rows("specimens")} | {""}
    for row in rows(f"site_maps/{site}"):
        assert row["code"] == row["code"].lower()
        assert not (row["analyte"] and row["finding"]), row
        assert row["analyte"] in components | {""} and row["finding"] in components | {""}, row
        assert row["specimen"] in specimens, row
        assert row["origin"] in {"laboratory", "flowsheet"}


@pytest.mark.parametrize(
    ("site", "code", "analyte", "specimen"),
    [
        ("mimic-iv", "51301", "wbc", "blood"),
        ("mimic-iv", "51516", "wbc", "urine"),
        ("mimic-iv", "51116", "lymphocytes_pct", "ascites"),
        ("mimic-iii", "51363", "wbc", "csf"),
        ("mimic-iii", "51218", "granulocytes", "blood"),
        ("eicu", "-polys", "neutrophils_pct", "blood"),
        ("eicu", "wbc's in urine", "wbc", "urine"),
    ],
)
def test_white_cells_of_other_fluids_are_known_not_to_be_blood(
    site: str, code: str, analyte: str, specimen: str
) -> None:
    row = next(row for row in rows(f"site_maps/{site}") if row["code"] == code)
    assert (row["analyte"], row["specimen"]) == (analyte, specimen)


def test_an_item_recorded_in_two_units_has_no_default_unit() -> None:
    for site in ("mimic-iii", "mimic-iv"):
        row = next(row for row in rows(f"site_maps/{site}") if row["code"] == "51133")
        assert row["unit"] == ""


@pytest.mark.parametrize("table", KEYS)
def test_a_datasheet_stands_beside_each_table(table: str) -> None:
    sheet = "site_maps" if table.startswith("site_maps/") else table
    assert (KNOWLEDGE / "datasheets" / f"{sheet}.md").is_file()


# --- variation within a person


def test_variation_is_a_percentage_and_a_range_has_its_ends_in_order() -> None:
    for row in rows("biological_variation"):
        for name in ("cv_within", "cv_between"):
            ends = [float(row[column]) for column in (name, f"{name}_to") if row[column]]
            assert ends == sorted(ends)
            assert all(0 < one < 100 for one in ends)
        assert row["cv_within"]


def test_each_white_line_has_one_variation_for_personal_limits() -> None:
    used = [row for row in rows("biological_variation") if row["use"]]
    assert sorted(row["analyte"] for row in used) == ["lymphocytes", "neutrophils", "wbc"]
    assert {(row["use"], row["interval"], row["sex"], row["cv_within_to"]) for row in used} == {
        ("personal", "week_to_week", "any", "")
    }
