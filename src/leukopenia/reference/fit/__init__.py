"""Limits from results: numbers in, numbers out; no table, no file, no clock."""
