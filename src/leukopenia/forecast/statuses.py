"""The words with which a forecast says what it is, or why there is none."""

from __future__ import annotations

FORECAST = "forecast"
TOO_FEW = "not enough counts yet"
NOT_TRUSTED = "the draws cannot be trusted"
NO_FIT = "the counts do not fit the model"
NO_RECOVERY = "no published recovery"
NO_STOP = "recovery is published from the stop of a drug, and none is on record"
NOT_RANKED = "no cause was ranked"
NOT_COUNTED = "not counted for too long"
