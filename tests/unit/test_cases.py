"""Case histories: what the files say, what is understood, and what is told when a file cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from leukopenia import contracts
from leukopenia.cases import INDEX, CaseTables, tables
from leukopenia.engine import open_engine
from leukopenia.errors import SourceError
from leukopenia.harmonise.count_words import CountWords
from leukopenia.harmonise.drug_texts import DrugTexts
from leukopenia.harmonise.phrases import Phrasebook, Target, denied, polarity, words
from leukopenia.harmonise.statements import Mention, StatementReader
from leukopenia.knowledge import load
from leukopenia.policy import Policy
from leukopenia.read.case import Case, read_cases

TWINS = Path(__file__).parent / "cases"
DAY = 1440


def rows(columns: str, *cells: str) -> list[dict[str, str]]:
    names = columns.split()
    return [dict(zip(names, cell.split("|"), strict=True)) for cell in cells]


SMALL = {
    "clues": rows(
        "clue group",
        *("fever|sign", "rash|sign", "sore_throat|sign", "splenomegaly|sign", "family_low_counts|history"),
        *("ana_positive|test", "blasts|finding", "hypocellular_marrow|test", "sick_contact|exposure"),
        *("hiv_known|history", "ferritin_high|finding", "eosinophilia|finding", "transaminases_high|finding"),
    ),
    "clue_phrases": rows(
        "phrase clue",
        *("fever|fever", "febrile|fever", "rash|rash", "sore throat|sore_throat", "splenomegaly|splenomegaly"),
        *("enlarged spleen|splenomegaly", "family history of cyclic neutropenia|family_low_counts"),
        *("blasts|blasts", "hypocellular|hypocellular_marrow", "contact with influenza|sick_contact"),
        *("low ferritin|ferritin_low", "raised level|never", "tsh low|tsh_low", "blood culture|bacteraemia"),
        *("known hiv infection|hiv_known", "raised eosinophils|eosinophilia", "12 h history of fever|acute"),
    ),
    "cause_tests": rows(
        "phrase cause kind",
        *("ana|cond:sle|test", "hiv|cond:hiv|test", "hepatitis c|cond:viral-hepatitis|test"),
        *("coombs|cond:autoimmune-neutropenia-secondary|test", "copper|cond:copper-deficiency|test"),
        *("morulae|cond:anaplasmosis|finding", "malaria film|cond:malaria|test"),
    ),
    "clue_criteria": rows(
        "clue source signal operator limit unit",
        "ferritin_high|finding|ferritin|at_or_above|500|ug/L",
        "transaminases_high|finding|ast|above|200|U/L",
        "transaminases_high|finding|alt|above|200|U/L",
        "fibrinogen_low|finding|fibrinogen|below|1.5|g/L",
        "anaemia|count|haemoglobin|below|100|g/L",
    ),
    "condition_phrases": rows("phrase condition", "hiv|cond:hiv", "influenza|cond:influenza"),
    "condition_names": rows(
        "condition name",
        *("cond:hiv|hiv infection", "cond:malaria|malaria", "cond:brucellosis|brucellosis", "cond:typhoid|typhoid"),
        *("cond:hypersplenism|splenomegaly", "cond:cyclic-neutropenia|cyclic neutropenia", "cond:dengue|dengue fever"),
        *("cond:ethnic-neutropenia|duffy null", "cond:sepsis|sepsis", "cond:sle|systemic lupus erythematosus"),
        *("cond:thyroid|hyperthyroidism", "finding:neutropenia_coded|neutropenia", "cond:ra-felty|felty syndrome"),
    ),
    "count_words": rows(
        "phrase analyte state",
        *("neutropenia|neutrophils|low", "agranulocytosis|neutrophils|low", "leukopenia|wbc|low"),
        *("pancytopenia|wbc|low", "pancytopenia|neutrophils|low", "pancytopenia|haemoglobin|low"),
        *("pancytopenia|platelets|low", "thrombocytopenia|platelets|low", "lymphopenia|lymphocytes|low"),
        *("anaemia|haemoglobin|low", "leukocytosis|wbc|not_low", "normal blood count|wbc|not_low"),
    ),
    "regimens": rows(
        "regimen ingredient",
        *("r chop|drug:rituximab", "r chop|drug:cyclophosphamide", "r chop|drug:doxorubicin", "ac|drug:doxorubicin"),
        *("denture cream|cond:zinc-excess", "chemotherapy|cond:cytotoxic-chemotherapy"),
    ),
}


@pytest.fixture(scope="module")
def knowledge() -> dict[str, Any]:
    return {**load(), **SMALL}


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy({**Policy.of().values, "explain.chronic_days": "365"})


@pytest.fixture(scope="module")
def found(knowledge: Mapping[str, Any], policy: Policy) -> CaseTables:
    engine = open_engine("polars")
    made = tables(read_cases(TWINS), engine, knowledge, policy)
    engine.close()
    return made


@pytest.fixture(scope="module")
def statements(knowledge: Mapping[str, Any]) -> StatementReader:
    return StatementReader(knowledge)


def of(frame: pl.DataFrame, case: str, *columns: str) -> list[tuple[Any, ...]]:
    return frame.filter(pl.col("patient_id") == case).select(columns).rows()


def day(number: float) -> int:
    return INDEX + round(number * DAY)


# Files


def test_a_folder_gives_every_case_of_every_file() -> None:
    assert [case.id for case in read_cases(TWINS)] == ["twin-antithyroid", "twin-words-only", "twin-infant"]


def test_days_of_a_full_case_count_from_its_low_count() -> None:
    case = read_cases(TWINS / "antithyroid.yaml")[0]
    assert [lab.day for lab in case.labs] == [-40, -40, 0, 0, 0, 0, 9]
    assert [(drug.start, drug.stop) for drug in case.drugs] == [(-38, 0), (-5, None), (0, 6)]


def test_a_full_case_whose_low_count_has_no_day_has_no_days(tmp_path: Path) -> None:
    case = written(tmp_path, "index: {day: null}", "{kind: drug, phase: before, name: dapsone, start_day: 3}")
    assert case.drugs[0].start is None


def test_a_blinded_case_keeps_its_days(tmp_path: Path) -> None:
    assert written(tmp_path, "", "{kind: drug, phase: before, name: dapsone, start_day: -3}").drugs[0].start == -3


def test_the_answer_is_not_read(tmp_path: Path) -> None:
    event = "{kind: sign, phase: index, name: fever, status: present, day: 0, note: the culprit was dapsone}"
    plain = written(tmp_path, "", event.replace(", note: the culprit was dapsone", ""))
    told = "truth: {cause_id: 'drug:dapsone'}\ntags: [dapsone]\nsource: {title: dapsone}\nanchor: dapsone"
    assert written(tmp_path, told, event) == plain


def test_a_phase_that_is_not_written_follows_from_the_day(tmp_path: Path) -> None:
    events = [f"{{kind: sign, name: fever, day: {number}}}" for number in ("-2", "0", "null", "5")]
    case = written(tmp_path, "", *events)
    assert [statement.phase for statement in case.statements] == ["before", "index", "index", "after"]


def written(folder: Path, head: str, *events: str) -> Case:
    return read_cases(file_with(folder, head, *events))[0]


def file_with(folder: Path, head: str, *events: str) -> Path:
    file = folder / "one.yaml"
    lines = "\n".join(f"  - {event}" for event in events)
    file.write_text(f"id: one\npatient: {{age: 50}}\n{head}\nevents:\n{lines}\n", encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("head", "event", "said"),
    [
        ("", "{kind: lab, analyte: HAEMATOKRIT, value: 3}", "event 1: analyte is none of those known"),
        ("", "{kind: lab, analyte: WBC, value: 3, day: [1]}", "event 1: day is not a usable number"),
        ("", "{kind: lab, value: 3}", "event 1: analyte is not there"),
        ("", "{kind: drug, start_day: 3}", "event 1: name is not there"),
        ("", "{kind: surgery, name: appendix}", "event 1: kind is none of those known"),
        ("", "{name: appendix}", "event 1: kind is not there"),
        ("", "{kind: sign, name: fever, status: maybe}", "event 1: status is none of those known"),
        ("", "{kind: sign, name: fever, phase: later}", "event 1: phase is none of those known"),
        ("", "{kind: drug, name: dapsone, chronic: often}", "event 1: chronic is neither true nor false"),
        ("", "fever", "event 1: it is not a list of `name: value`"),
        ("index: {day: monday}", "{kind: sign, name: fever}", "index: day is not a usable number"),
    ],
)
def test_a_field_that_cannot_be_used_is_named_without_its_value(
    tmp_path: Path, head: str, event: str, said: str
) -> None:
    with pytest.raises(SourceError) as caught:
        read_cases(file_with(tmp_path, head, event))
    assert said in caught.value.problem
    assert "one.yaml, case 1" in caught.value.problem
    assert caught.value.remedy
    for value in ("HAEMATOKRIT", "maybe", "later", "often", "monday", "surgery", "appendix"):
        assert value not in str(caught.value)


def test_what_is_no_case_is_refused(tmp_path: Path) -> None:
    for text, said in (("id: [1", "not YAML"), ("", "empty"), ("id: a\nevents: []", "no list of events")):
        (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(SourceError, match=said):
            read_cases(tmp_path / "bad.yaml")
    with pytest.raises(SourceError, match="no file or folder"):
        read_cases(tmp_path / "absent.yaml")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no case"):
        read_cases(tmp_path / "empty")


def test_two_cases_of_one_id_are_refused(tmp_path: Path) -> None:
    file = file_with(tmp_path, "", "{kind: sign, name: fever}")
    file.write_text(file.read_text() + "---\n" + file.read_text())
    with pytest.raises(SourceError, match="case 2: its id stands twice"):
        read_cases(file)


# Phrases

BOOK = Phrasebook(
    [
        *((name, Target("clue", name)) for name in ("fever", "rash", "splenomegaly", "low ferritin")),
        *((name, Target("condition", name)) for name in ("malaria", "hiv", "dengue fever", "anaemia", "q fever")),
        *((name, Target("drug", name)) for name in ("methimazole", "hyperthyroidism", "prednisone", "prednisolone")),
    ],
    misspelt=("drug",),
)


def heard(text: str) -> dict[str, bool]:
    """Phrase to whether the text affirms it."""
    said = words(text)
    seen = BOOK.find(said)
    return {one.targets[0].id: not denied(said, seen, one) for one in seen}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fever", {"fever": True}),
        ("no fever", {"fever": False}),
        ("without fever or rash", {"fever": False, "rash": False}),
        ("no fever, rash or splenomegaly", {"fever": False, "rash": False, "splenomegaly": False}),
        ("no fever, rash", {"fever": False, "rash": True}),
        ("no fever but rash", {"fever": False, "rash": True}),
        ("no fever; rash or itching", {"fever": False, "rash": True}),
        ("fever was absent", {"fever": False}),
        ("fever and rash absent", {"fever": False, "rash": False}),
        ("splenomegaly not palpable", {"splenomegaly": False}),
        ("fever not responding to antibiotics", {"fever": True}),
        ("malaria was excluded", {"malaria": False}),
        ("malaria could not be excluded", {"malaria": True}),
        ("malaria ruled out", {"malaria": False}),
        ("ruled out malaria", {"malaria": False}),
        ("negative for malaria and HIV", {"malaria": False, "hiv": False}),
        ("malaria, HIV and hepatitis serology negative", {"malaria": False, "hiv": False}),
        ("fever, malaria negative", {"fever": True, "malaria": False}),
        ("HIV negative, malaria positive", {"hiv": False, "malaria": True}),
        ("normal blood pressure and fever", {"fever": True}),
        ("fever and normal chest film", {"fever": True}),
        ("dengue fever", {"dengue fever": True}),
        ("anemia", {"anaemia": True}),
        ("Ferritin was markedly reduced", {"low ferritin": True}),
    ],
)
def test_denial_reaches_as_far_as_its_clause_or_list(text: str, said: dict[str, bool]) -> None:
    assert heard(text) == said


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("metimazole", "methimazole"),
        ("prednisone", "prednisone"),
        ("prednisolon", "prednisolone"),
        ("hypothyroidism", None),
        ("xethimazole", None),
        ("meth", None),
    ],
)
def test_a_misspelt_name_is_read_as_the_closest_one_and_marked(text: str, read: str | None) -> None:
    seen = BOOK.find(words(text))
    assert [one.targets[0].id for one in seen] == ([read] if read else [])
    assert all(one.fuzzy == (one.shown != read) for one in seen)


@pytest.mark.parametrize(
    ("result", "says"),
    [
        *(
            (text, "positive")
            for text in ("positive", "1:320", "reactive", "raised", "++", "IgM positive, IgG positive")
        ),
        *((text, "negative") for text in ("negative", "normal", "not detected", "<1:40", "non reactive", "no growth")),
        *((text, "negative") for text in ("IgM negative, IgG positive", "within normal limits", "ruled out", "no")),
        *((text, "") for text in ("", "pending", "not done", "412")),
    ],
)
def test_the_answer_of_a_result(result: str, says: str) -> None:
    assert polarity(result) == says


# Statements


@pytest.mark.parametrize(
    ("name", "result", "said"),
    [
        ("HIV", "negative", {("confirmed", "cond:hiv", "absent")}),
        ("HIV test", "reactive", {("confirmed", "cond:hiv", "present")}),
        ("HIV test", "pending", set()),
        ("HIV negative", "", {("confirmed", "cond:hiv", "absent")}),
        ("serum copper", "low", {("confirmed", "cond:copper-deficiency", "present")}),
        ("serum copper", "raised", {("confirmed", "cond:copper-deficiency", "absent")}),
        ("blood film", "morulae", {("confirmed", "cond:anaplasmosis", "present")}),
        ("blood film", "no morulae", {("confirmed", "cond:anaplasmosis", "absent")}),
        ("PCR", "positive for HIV", {("confirmed", "cond:hiv", "present")}),
        ("ferritin, TSH", "8 and 0.01 (both reduced)", {("ferritin_low", "", "present"), ("tsh_low", "", "present")}),
        ("TSH", "not decreased", {("tsh_low", "", "absent")}),
        ("TSH", "normal", {("tsh_low", "", "absent")}),
        ("blood culture", "pending", set()),
        ("blood culture", "Escherichia coli", {("bacteraemia", "", "present")}),
    ],
)
def test_tests_answer_for_their_causes(
    statements: StatementReader, name: str, result: str, said: set[tuple[str, str, str]]
) -> None:
    told = statements.read("test", name, result)
    assert {(one.clue, one.cause, one.state) for one in told.mentions} == said
    assert told.diagnoses == []


@pytest.mark.parametrize(
    ("name", "result", "said"),
    [
        ("biopsy", "malaria", {("cond:malaria", "present")}),
        ("biopsy", "no malaria", {("cond:malaria", "absent")}),
        ("biopsy", "suspicious for malaria", set()),
        ("biopsy", "malaria, result pending", set()),
        ("biopsy showing malaria", "", {("cond:malaria", "present")}),
        ("biopsy", "influenza", {("cond:influenza", "present")}),
        ("screen", "hepatitis C", {("cond:viral-hepatitis", "present")}),
        ("serology", "hepatitis C IgG positive, IgM negative", set()),
    ],
)
def test_a_diagnosis_in_a_result_speaks_for_its_cause(
    statements: StatementReader, name: str, result: str, said: set[tuple[str, str]]
) -> None:
    told = statements.read("test", name, result)
    assert {(one.cause, one.state) for one in told.mentions if one.clue == "confirmed"} == said


def test_many_blasts_are_a_leukaemia_and_few_are_none() -> None:
    reader = StatementReader(load())
    for result, state in (
        ("blasts 40 %", "present"),
        ("37 % blasts", "present"),
        ("blasts <5 %", ""),
        ("9 % blasts", ""),
    ):
        told = reader.read("test", "film", result).mentions
        assert {one.state for one in told if one.cause == "cond:acute-leukaemia"} == ({state} if state else set()), (
            result
        )
    assert {one.state for one in reader.read("test", "marrow", "blasts <5 %").mentions} == {"absent"}


def test_the_illness_of_a_colleague_is_not_the_patients_but_a_visit_to_his_family_is_a_journey() -> None:
    reader = StatementReader(load())
    assert reader.read("condition", "exposure to a colleague with influenza").diagnoses == []
    assert "travel_tropics" in {one.clue for one in reader.read("sign", "visited family in Ghana").mentions}


@pytest.mark.parametrize(
    ("text", "clue"),
    [
        *((text, "outdoor_exposure") for text in ("works at a campground", "farmer", "keen hiker", "forestry worker")),
        *((text, "outdoor_exposure") for text in ("deer hunter", "walked in tall grass", "lumberjack", "park ranger")),
        *(("sewer worker", "freshwater_animals"), ("helped with lambing", "livestock"), ("hajj", "travel_abroad")),
        *(("petrol pump attendant", "solvent_occupation"), ("lives in a refugee camp", "tb_setting")),
    ],
)
def test_exposures_in_the_words_of_case_reports(text: str, clue: str) -> None:
    assert clue in {one.clue for one in StatementReader(load()).read("sign", text, status="present").mentions}


def test_a_list_of_tests_shares_one_result(statements: StatementReader) -> None:
    told = statements.read("test", "HIV, hepatitis D, hepatitis C, ANA, malaria film, Coombs", "negative")
    assert {one.state for one in told.mentions} == {"absent"}
    assert {one.cause for one in told.mentions} == {
        *("cond:hiv", "cond:viral-hepatitis", "cond:sle", "cond:malaria"),
        "cond:autoimmune-neutropenia-secondary",
    }


@pytest.mark.parametrize(
    ("name", "status", "diagnoses"),
    [
        ("malaria", "present", {("cond:malaria", "confirmed")}),
        ("malaria", "suspected", {("cond:malaria", "provisional")}),
        ("possible malaria", "present", {("cond:malaria", "provisional")}),
        ("malaria", "past", {("cond:malaria", "past")}),
        ("previous malaria", "present", {("cond:malaria", "past")}),
        ("malaria", "", {("cond:malaria", "")}),
        ("malaria", "absent", set()),
        ("mother with malaria", "present", set()),
        ("family history of malaria", "present", set()),
        ("contact with influenza", "present", set()),
        ("contact with a case of malaria", "present", set()),
        ("vaccinated against influenza", "present", set()),
        ("known HIV infection", "present", {("cond:hiv", "confirmed")}),
        ("neutropenia", "present", set()),
    ],
)
def test_conditions_have_a_certainty(
    statements: StatementReader, name: str, status: str, diagnoses: set[tuple[str, str]]
) -> None:
    told = statements.read("condition", name, status=status)
    assert {(one.condition, one.certainty) for one in told.diagnoses} == diagnoses


def test_a_sign_is_a_clue_before_it_is_a_diagnosis(statements: StatementReader) -> None:
    told = statements.read("sign", "splenomegaly and sepsis", status="present")
    assert [one.condition for one in told.diagnoses] == ["cond:sepsis"]
    assert [one.clue for one in told.mentions] == ["splenomegaly"]


def test_phrases_inside_phrases_of_clues_count(statements: StatementReader) -> None:
    told = statements.read("sign", "12 h history of fever", status="present")
    assert {one.clue for one in told.mentions} == {"acute", "fever"}
    assert statements.read("sign", "dengue fever").mentions == []


def test_what_belongs_to_relatives_or_the_past_is_kept_apart(statements: StatementReader) -> None:
    told = statements.read("condition", "family history of cyclic neutropenia and fever", status="present")
    assert [one.clue for one in told.mentions] == ["family_low_counts"]
    assert statements.read("sign", "fever", status="past").mentions == []


def test_an_absent_sign_denies_its_whole_text(statements: StatementReader) -> None:
    told = statements.read("sign", "fever or rash", status="absent")
    assert told.mentions == [Mention("fever", "", "absent", "fever"), Mention("rash", "", "absent", "rash")]


# Counts in words


@pytest.mark.parametrize(
    ("text", "low"),
    [
        ("pancytopenia", {"wbc": True, "neutrophils": True, "haemoglobin": True, "platelets": True}),
        ("no neutropenia", {"neutrophils": False}),
        ("neutropenia resolved", {"neutrophils": False}),
        ("neutropenia not resolved", {"neutrophils": True}),
        ("haemoglobin and platelets normal", {"haemoglobin": False, "platelets": False}),
        ("platelets normal, haemoglobin low", {"platelets": False, "haemoglobin": True}),
        ("normal platelet count and reduced neutrophil count", {"platelets": False, "neutrophils": True}),
        ("leukocytosis", {"wbc": False}),
        ("leukopenia, later platelets normal", {"wbc": True, "platelets": False}),
        ("white cell count below normal", {"wbc": True}),
        ("CSF leukocytes normal", {}),
        ("mother had neutropenia", {}),
        ("neutrophils", {}),
    ],
)
def test_lines_said_to_be_low_or_not(knowledge: Mapping[str, Any], text: str, low: dict[str, bool]) -> None:
    assert CountWords(knowledge).read(text) == low


@pytest.mark.parametrize(
    ("text", "low"),
    [
        *(("low", True), ("agranulocytosis", True), ("markedly decreased", True), ("undetectable", True)),
        *(("normal", False), ("recovered", False), ("raised", False), ("not recovered", True), ("not given", None)),
    ],
)
def test_words_in_place_of_a_value(knowledge: Mapping[str, Any], text: str, low: bool | None) -> None:
    assert CountWords(knowledge).of_line("neutrophils", text) is low


# Drugs


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("amoxicillin and clarithromycin", ["drug:amoxicillin", "drug:clarithromycin"]),
        ("docetaxel/epirubicin", ["drug:docetaxel", "drug:epirubicin"]),
        ("trimethoprim-sulfamethoxazole", ["drug:cotrimoxazole"]),
        ("R-CHOP", ["drug:rituximab", "drug:cyclophosphamide", "drug:doxorubicin"]),
        ("cytotoxic chemotherapy", ["cond:cytotoxic-chemotherapy"]),
        ("metimazole", ["drug:thiamazole"]),
        ("oral Xylomazine 5 mg twice daily", ["drug:xylomazine"]),
        ("dapsone plus xylomazine", ["drug:dapsone", "drug:xylomazine"]),
    ],
)
def test_drug_texts(knowledge: Mapping[str, Any], text: str, ids: list[str]) -> None:
    assert [named.id for named in DrugTexts(knowledge).read(text)] == ids


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("zinc denture cream", ["cond:zinc-excess"]),
        ("hyperthyroidism treated with carbimazole", ["drug:carbimazole"]),
        ("carbimazole allergy", []),
        ("no chemotherapy", []),
        ("AC joint pain treatment", []),
    ],
)
def test_exposures_told_among_the_conditions(knowledge: Mapping[str, Any], text: str, ids: list[str]) -> None:
    assert [named.id for named in DrugTexts(knowledge).told_in(text)] == ids


# Tables


def test_columns_are_those_of_the_contracts(found: CaseTables) -> None:
    for name in ("patients", "counts", "findings", "exposures", "conditions", "mentions", "issues"):
        contract = contracts.TABLES.get(name, contracts.MENTIONS)
        assert set(contract.names) <= set(getattr(found, name).columns), name


def test_persons(found: CaseTables) -> None:
    infant = found.patients.row(by_predicate=pl.col("patient_id") == "twin-infant", named=True)
    assert infant["birth_precision"] == "month"
    assert 210 < (INDEX - infant["birth"]) / DAY < 216
    assert infant["duffy_null"] and not found.patients["duffy_null"][0]
    assert found.patients["sex"].to_list() == ["female", "male", "male"]


def test_counts_go_through_the_spine(found: CaseTables) -> None:
    rows = of(found.counts, "twin-antithyroid", "analyte", "minute", "value", "derivation")
    assert ("neutrophils", INDEX, 0.044, "fraction_of_wbc") in rows
    assert ("wbc", INDEX, 1.1, "reported") in rows
    assert ("haemoglobin", INDEX, 128.0, "reported") in rows
    assert ("platelets", INDEX, 240.0, "reported") in rows
    assert of(found.counts, "twin-infant", "analyte", "minute", "value", "comparator") == [
        ("lymphocytes", INDEX, 4.2, ""),
        ("neutrophils", INDEX, 0.2, "<"),
    ]


def test_a_count_without_a_unit_or_a_time_stands_in_the_issues(found: CaseTables) -> None:
    issues = found.issues.select("row_id", "reason").rows()
    assert ("twin-infant/5", "ambiguous_unit") in issues
    assert ("twin-infant/1", "no_time") in issues
    assert ("twin-words-only/3", "not_systemic") in issues


def test_counts_in_words(found: CaseTables) -> None:
    rows = of(found.words, "twin-words-only", "analyte", "minute", "is_low", "phase")
    assert ("wbc", day(-60), False, "before") in rows
    assert {(line, INDEX, True, "index") for line in ("wbc", "neutrophils", "haemoglobin", "platelets")} <= set(rows)
    assert ("neutrophils", None, True, "before") in rows
    assert ("wbc", day(30), False, "after") in rows
    assert ("platelets", INDEX, False, "index") in of(
        found.words, "twin-infant", "analyte", "minute", "is_low", "phase"
    )


def test_lines_join_counts_and_words(found: CaseTables) -> None:
    rows = of(found.lines, "twin-words-only", "analyte", "minute", "value", "is_low")
    assert ("platelets", INDEX, None, True) in rows
    assert found.lines["minute"].null_count() == 0
    low = of(found.lines, "twin-antithyroid", "analyte", "minute", "is_low")
    assert ("neutrophils", INDEX, True) in low and ("neutrophils", day(9), False) in low


def test_exposures(found: CaseTables) -> None:
    columns = ("ingredient", "start", "end", "past", "treatment", "fuzzy")
    assert of(found.exposures, "twin-antithyroid", *columns) == [
        ("drug:thiamazole", day(-38), INDEX, False, False, True),
        ("drug:amoxicillin", day(-5), None, False, False, False),
        ("drug:clarithromycin", day(-5), None, False, False, False),
        ("drug:filgrastim", INDEX + 1, day(6), False, True, False),
    ]
    other = of(found.exposures, "twin-words-only", "ingredient", "start", "end", "past")
    assert other[0] == ("drug:xylomazine", day(-365), None, False)
    assert set(other[1:]) == {
        (f"drug:{name}", None, None, True) for name in ("rituximab", "cyclophosphamide", "doxorubicin")
    }


def test_a_misspelt_name_can_be_told(found: CaseTables) -> None:
    read = found.exposures.filter("fuzzy").select("words", "ingredient").rows()
    assert read == [("metimazole", "drug:thiamazole")]
    assert found.conditions.filter("fuzzy").select("words", "condition").rows() == [("brucelosis", "cond:brucellosis")]


def test_conditions(found: CaseTables) -> None:
    columns = ("condition", "start", "certainty")
    assert of(found.conditions, "twin-words-only", *columns) == [("cond:zinc-excess", None, "confirmed")]
    assert set(of(found.conditions, "twin-infant", *columns)) == {
        ("cond:ethnic-neutropenia", None, "confirmed"),
        ("cond:brucellosis", day(-4), "provisional"),
        ("cond:typhoid", day(-3), "provisional"),
    }


def test_mentions(found: CaseTables) -> None:
    columns = ("clue", "cause", "state", "minute")
    said = set(of(found.mentions, "twin-antithyroid", *columns))
    assert {("fever", "", "present", INDEX), ("rash", "", "absent", INDEX)} <= said
    assert {("sore_throat", "", "present", INDEX), ("splenomegaly", "", "absent", INDEX)} <= said
    other = set(of(found.mentions, "twin-words-only", "clue", "cause", "state"))
    assert {
        ("confirmed", "cond:hiv", "absent"),
        ("confirmed", "cond:sle", "absent"),
        ("confirmed", "cond:sle", "present"),
        ("confirmed", "cond:copper-deficiency", "present"),
        ("confirmed", "cond:anaplasmosis", "present"),
        ("blasts", "", "absent"),
        ("hypocellular_marrow", "", "present"),
        ("normal_before", "", "absent"),
    } <= other
    infant = set(of(found.mentions, "twin-infant", *columns))
    assert {("confirmed", "cond:malaria", "absent", None), ("family_low_counts", "", "present", None)} <= infant
    assert ("sick_contact", "", "present", day(-9)) in infant


def test_a_number_of_an_unknown_day_still_tells_whether_it_was_low(found: CaseTables) -> None:
    assert ("neutrophils", None, False, "before") in of(
        found.words, "twin-infant", "analyte", "minute", "is_low", "phase"
    )
    assert ("normal_before", "present") in of(found.mentions, "twin-infant", "clue", "state")


def test_a_temperature_is_a_finding(found: CaseTables) -> None:
    assert of(found.findings, "twin-antithyroid", "finding", "value", "minute") == [("temperature", 39.4, INDEX)]


def test_a_number_in_words_is_a_finding_with_its_side(found: CaseTables) -> None:
    columns = ("finding", "value", "range", "minute")
    assert of(found.findings, "twin-words-only", *columns) == [("ferritin", 2000.0, "high", day(2))]


def test_numbers_take_the_usual_range_and_need_a_time(
    tmp_path: Path, knowledge: Mapping[str, Any], policy: Policy
) -> None:
    events = (
        "{kind: test, phase: index, name: AST / ALT, result: 830 / 20}",
        "{kind: sign, phase: index, name: ESR, value: 95, unit: mm/h, status: present}",
        "{kind: sign, phase: index, name: CRP 180 mg/L, status: past}",
        "{kind: test, phase: before, name: ferritin, result: 2000 ng/mL}",
        "{kind: sign, phase: index, name: temperature 38.9, status: present}",
        "{kind: lab, phase: index, analyte: MCV, value: 124, unit: fL, day: 0}",
        "{kind: lab, phase: index, analyte: CRP, value: 12, unit: mg/L, day: 0, high: 20}",
    )
    found = made(tmp_path, knowledge, policy, *events)
    assert set(found.findings.select("finding", "value", "range").rows()) == {
        *(("ast", 830.0, "high"), ("alt", 20.0, "normal"), ("esr", 95.0, "high")),
        *(("temperature", 38.9, ""), ("mcv", 124.0, "high"), ("crp", 12.0, "normal")),
    }
    # The ferritin has no day: only what its criterion says of it is known.
    assert found.mentions.select("clue", "state", "minute").rows() == [("ferritin_high", "present", None)]
    assert found.not_understood["words"].to_list() == ["CRP 180 mg/L"]  # said to be past


def test_the_first_year_of_life_has_no_usual_ranges(
    tmp_path: Path, knowledge: Mapping[str, Any], policy: Policy
) -> None:
    file = file_with(tmp_path, "", "{kind: test, phase: index, name: LDH, result: 600 U/L}")
    file.write_text(file.read_text().replace("age: 50", "age: 5, age_unit: month"))
    found = tables(read_cases(file), open_engine("polars"), knowledge, policy).findings
    assert found.select("value", "range").rows() == [(600.0, "")]


def test_the_low_count_to_be_explained(found: CaseTables) -> None:
    assert of(found.index, "twin-antithyroid", *found.index.columns[1:]) == [
        ("neutrophils", INDEX, day(-40), 0.044, INDEX, day(9))
    ]
    assert of(found.index, "twin-words-only", *found.index.columns[1:]) == [
        ("neutrophils", INDEX, day(-60), None, INDEX, None)
    ]
    assert of(found.index, "twin-infant", "analyte", "last_not_low", "nadir") == [("neutrophils", None, 0.2)]


def test_texts_of_which_nothing_was_recognised_are_told(found: CaseTables) -> None:
    assert of(found.not_understood, "twin-words-only", "kind", "words") == [("drug", "xylomazine"), ("sign", "flubber")]
    assert "Graves disease" in found.not_understood["words"].to_list()


def made(folder: Path, knowledge: Mapping[str, Any], policy: Policy, *events: str) -> CaseTables:
    return tables([written(folder, "", *events)], open_engine("polars"), knowledge, policy)


def test_two_draws_of_one_day_are_two_counts(tmp_path: Path, knowledge: Mapping[str, Any], policy: Policy) -> None:
    lab = "kind: lab, phase: index, analyte: ANC, unit: 10^9/L, day: 0"
    events = (f"{{{lab}, value: 0.9, specimen: EDTA}}", f"{{{lab}, value: 3.1, specimen: citrate}}")
    counts = made(tmp_path, knowledge, policy, *events).counts
    assert counts["value"].to_list() == [0.9, 3.1]
    assert not counts["conflict"].any()


@pytest.mark.parametrize(
    ("events", "analyte"),
    [
        (("WBC, value: 2.1", "ALC, value: 0.4"), "wbc"),
        (("WBC, value: 6.1", "ALC, value: 0.4"), "lymphocytes"),
        (("ALC, value: 0.4",), "lymphocytes"),
        (("WBC, value: 2.1", "ANC, value: 0.4"), "neutrophils"),
        (("WBC, value: 2.1", "ANC, value: 2.0"), "wbc"),
        (("HGB, value: 60",), "wbc"),
    ],
)
def test_the_line_to_be_explained(
    tmp_path: Path, knowledge: Mapping[str, Any], policy: Policy, events: tuple[str, ...], analyte: str
) -> None:
    units = [f"{{kind: lab, phase: index, analyte: {event}, unit: {unit_of(event)}}}" for event in events]
    assert made(tmp_path, knowledge, policy, *units).index["analyte"].to_list() == [analyte]


def unit_of(event: str) -> str:
    return "g/L" if event.startswith("HGB") else "10^9/L"


def test_a_case_of_words_alone_has_no_counts(tmp_path: Path, knowledge: Mapping[str, Any], policy: Policy) -> None:
    found = made(tmp_path, knowledge, policy, "{kind: condition, phase: index, name: agranulocytosis}")
    assert found.counts.is_empty()
    assert found.index["analyte"].to_list() == ["neutrophils"]


def test_a_stop_before_the_start_is_dropped(tmp_path: Path, knowledge: Mapping[str, Any], policy: Policy) -> None:
    found = made(tmp_path, knowledge, policy, "{kind: drug, name: dapsone, start_day: -5, stop_day: -9}")
    assert found.exposures.select("start", "end").rows() == [(day(-5), None)]
    assert found.issues["reason"].to_list() == ["ends_before_start"]


def test_no_value_stands_in_the_issues(found: CaseTables) -> None:
    assert not [text for text in found.issues["detail"].to_list() if any(letter.isdigit() for letter in text)]


def test_words_beside_one_line_may_name_another(tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    path.write_text(
        "id: words\npatient: {age: 50, age_unit: year, sex: male}\nevents:\n"
        "- {kind: lab, analyte: WBC, qualitative: 'marrow suppression, neutropenia', day: 0, phase: index}\n",
        encoding="utf-8",
    )
    found = tables(read_cases(path), open_engine("polars"), load(), Policy.of())
    low = {(row["analyte"], row["is_low"]) for row in found.words.to_dicts()}
    assert ("neutrophils", True) in low
