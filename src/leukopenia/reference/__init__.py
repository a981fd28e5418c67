"""Counts -> limits: which lower and upper limit applies to a count, and on what basis."""
