"""From Facts to a Diagnosis: correlate, weigh the causes, name killer, offender and victims."""
