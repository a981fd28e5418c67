"""Who needs a count now, and what does the rule say: courses, due counts, thresholds and alerts."""
