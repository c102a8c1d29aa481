"""Stories first: most tests play a recorded incident and read the explanation."""
