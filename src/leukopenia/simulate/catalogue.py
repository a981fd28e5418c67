"""Codes and spellings the simulated hospital uses.

LOINC codes are those of the common count panels; RxNorm and ATC codes are those of the package's drug table.
Where no code was at hand the drug or test is named in words only, as happens in real exports too.
"""

from __future__ import annotations

from dataclasses import dataclass

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ATC = "http://www.whocc.no/atc"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
SNOMED = "http://snomed.info/sct"
NDC = "http://hl7.org/fhir/sid/ndc"
WARD = "http://hospital.example/ward-device"
LOCAL = "http://clinic.example/tests"

AUTOMATED = {
    "wbc": ("6690-2", "Leukocytes [#/volume] in Blood by Automated count"),
    "neutrophils": ("751-8", "Neutrophils [#/volume] in Blood by Automated count"),
    "lymphocytes": ("731-0", "Lymphocytes [#/volume] in Blood by Automated count"),
    "monocytes": ("742-7", "Monocytes [#/volume] in Blood by Automated count"),
    "eosinophils": ("711-2", "Eosinophils [#/volume] in Blood by Automated count"),
    "basophils": ("704-7", "Basophils [#/volume] in Blood by Automated count"),
    "neutrophils_percent": ("770-8", "Neutrophils/100 leukocytes in Blood by Automated count"),
    "lymphocytes_percent": ("736-9", "Lymphocytes/100 leukocytes in Blood by Automated count"),
    "monocytes_percent": ("5905-5", "Monocytes/100 leukocytes in Blood by Automated count"),
    "eosinophils_percent": ("713-8", "Eosinophils/100 leukocytes in Blood by Automated count"),
    "basophils_percent": ("706-2", "Basophils/100 leukocytes in Blood by Automated count"),
    "bands_percent": ("764-1", "Band form neutrophils/100 leukocytes in Blood by Manual count"),
    "blasts_percent": ("26446-5", "Blasts/100 leukocytes in Blood"),
    "haemoglobin": ("718-7", "Hemoglobin [Mass/volume] in Blood"),
    "platelets": ("777-3", "Platelets [#/volume] in Blood by Automated count"),
    "mcv": ("787-2", "MCV [Entitic volume] by Automated count"),
    "temperature": ("8310-5", "Body temperature"),
    "crp": ("1988-5", "C reactive protein [Mass/volume] in Serum or Plasma"),
    "cd4": ("24467-3", "CD3+CD4+ (T4 helper) cells [#/volume] in Blood"),
    "platelet_clumps": ("7796-6", "Platelet clump [Presence] in Blood by Light microscopy"),
    "nucleated_red_cells": (
        "58413-6",
        "Nucleated erythrocytes/100 leukocytes [Ratio] in Blood by Automated count",
    ),
}

METHODLESS = {
    **AUTOMATED,
    "wbc": ("26464-8", "Leukocytes [#/volume] in Blood"),
    "neutrophils": ("26499-4", "Neutrophils [#/volume] in Blood"),
    "lymphocytes": ("26474-7", "Lymphocytes [#/volume] in Blood"),
    "neutrophils_percent": ("26511-6", "Neutrophils/100 leukocytes in Blood"),
    "lymphocytes_percent": ("26478-8", "Lymphocytes/100 leukocytes in Blood"),
    "platelets": ("26515-7", "Platelets [#/volume] in Blood"),
}

NOT_BLOOD = (
    ("5821-4", "Leukocytes [#/area] in Urine sediment by Microscopy high power field", "Urine", "/[HPF]"),
    ("", "WBC", "Urine", "#/hpf"),
    ("26465-5", "Leukocytes [#/volume] in Cerebral spinal fluid", "Cerebrospinal fluid", "/uL"),
    ("", "WBC's in cerebrospinal fluid", "CSF", "/cu mm"),
    ("26468-9", "WBC, Ascites", "Ascitic fluid", "#/uL"),
    ("26469-7", "WBC, Joint Fluid", "Joint fluid", "#/uL"),
)
"""Code, display, specimen and unit of white-cell counts that are not of the blood."""

SPELLINGS = (
    ("K/uL", 1),
    ("x10(3)/mcL", 1),
    ("thou/cumm", 1),
    ("10*9/L", 1),
    ("THOU/UL", 1),
    ("10E3/mcL", 1),
    ("K/mm3", 1),
    ("/uL", 1000),
    ("cells/cumm", 1000),
)
"""Units of one clinic's counts, and by what a count in 10^9/L is multiplied for them."""


@dataclass(frozen=True, slots=True)
class Ingredient:
    """A drug as the simulated pharmacy knows it."""

    name: str
    brand: str
    rxnorm: str
    atc: str
    route: str
    unit: str

    @property
    def codings(self) -> tuple[tuple[str, str], ...]:
        both = ((RXNORM, self.rxnorm), (ATC, self.atc))
        return tuple((system, code) for system, code in both if code)


DRUGS = {
    drug.name: drug
    for drug in (
        Ingredient("thiamazole", "Tapazole", "6835", "H03BB02", "oral", "mg"),
        Ingredient("clozapine", "Clozaril", "2626", "N05AH02", "oral", "mg"),
        Ingredient("sulfasalazine", "Azulfidine", "9524", "A07EC01", "oral", "mg"),
        Ingredient("valproate", "Depakote", "40254", "N03AG01", "oral", "mg"),
        Ingredient("azathioprine", "Imuran", "1256", "L04AX01", "oral", "mg"),
        Ingredient("lamotrigine", "Lamictal", "28439", "N03AX09", "oral", "mg"),
        Ingredient("metronidazole", "Flagyl", "6922", "J01XD01", "oral", "mg"),
        Ingredient("cyclophosphamide", "Cytoxan", "3002", "L01AA01", "intravenous", "mg/m2"),
        Ingredient("doxorubicin", "Adriamycin", "3639", "L01DB01", "intravenous", "mg/m2"),
        Ingredient("docetaxel", "Taxotere", "72962", "L01CD02", "intravenous", "mg/m2"),
        Ingredient("paclitaxel", "Taxol", "56946", "L01CD01", "intravenous", "mg/m2"),
        Ingredient("carboplatin", "Paraplatin", "40048", "L01XA02", "intravenous", "mg"),
        Ingredient("cytarabine", "Cytosar", "3041", "L01BC01", "intravenous", "mg/m2"),
        Ingredient("daunorubicin", "Cerubidine", "3109", "L01DB02", "intravenous", "mg/m2"),
        Ingredient("filgrastim", "Neupogen", "", "", "subcutaneous", "ug"),
        Ingredient("piperacillin-tazobactam", "Zosyn", "", "J01CR05", "intravenous", "g"),
        Ingredient("amoxicillin", "Amoxil", "723", "J01CA04", "oral", "mg"),
        Ingredient("meropenem", "Merrem", "29561", "J01DH02", "intravenous", "g"),
        Ingredient("prednisone", "Deltasone", "8640", "H02AB07", "oral", "mg"),
        Ingredient("atorvastatin", "Lipitor", "", "", "oral", "mg"),
        Ingredient("levothyroxine", "Synthroid", "", "", "oral", "ug"),
        Ingredient("bictegravir/emtricitabine/tenofovir", "Biktarvy", "", "", "oral", "mg"),
        Ingredient("antithymocyte globulin", "Atgam", "", "", "intravenous", "mg/kg"),
    )
}

DOSES = {
    "cyclophosphamide": 600.0,
    "doxorubicin": 60.0,
    "docetaxel": 75.0,
    "paclitaxel": 175.0,
    "carboplatin": 450.0,
}
"""What is given of a drug in one cycle, in its unit."""

CONDITIONS = {
    "neutropenic fever": ("R50.81", "Fever presenting with conditions classified elsewhere"),
    "low white cells": ("D72.819", "Decreased white blood cell count, unspecified"),
    "schizophrenia": ("F20.9", "Schizophrenia, unspecified"),
    "crohn disease": ("K50.90", "Crohn's disease, unspecified, without complications"),
    "newborn": ("Z38.00", "Single liveborn infant, delivered vaginally"),
    "pregnancy": ("Z34.90", "Encounter for supervision of normal pregnancy, unspecified, unspecified trimester"),
    "hypertension": ("I10", "Essential (primary) hypertension"),
    "diabetes": ("E11.9", "Type 2 diabetes mellitus without complications"),
}
