"""`knockon backup run`: from the first question to the published manifest."""
