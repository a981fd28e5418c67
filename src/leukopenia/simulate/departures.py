"""How a simulated hospital departs from what the package believes: each way can be switched off."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Departures:
    """Which departures the records have.

    Attributes
    ----------
    shifted : bool
        Courses differ from the knowledge tables in time, depth and frequency.
    hidden : bool
        Some causes leave no record.
    missing : bool
        Records that a complete chart would hold are not there.
    wrong : bool
        Records that are wrong: the dirt of real exports.
    """

    shifted: bool = True
    hidden: bool = True
    missing: bool = True
    wrong: bool = True


EVERY = Departures()
"""All of them, as real records have them."""
