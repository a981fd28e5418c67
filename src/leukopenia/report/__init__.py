"""The report room: tables and texts in, one self-contained page out; and the OMOP cohort table.

The room formats and cites. It grades nothing and judges nothing: every grade, limit, episode and red flag
comes in with `Facts`.
"""

from __future__ import annotations

from leukopenia.report.cohort import omop_cohort
from leukopenia.report.facts import Facts, Monitoring
from leukopenia.report.page import WAITING_PAGES, render
from leukopenia.report.summary import summarise

__all__ = ["WAITING_PAGES", "Facts", "Monitoring", "omop_cohort", "render", "summarise"]
