"""Counts and limits -> grades, episodes and red flags."""
