"""Everything that can be read from files: journals, pasted logs, API objects, samples."""
