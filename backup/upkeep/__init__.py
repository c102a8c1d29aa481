"""What is done with backups that exist: list them, note what checks found, delete the old ones."""
