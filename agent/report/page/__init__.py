"""What the report's page is made of: markup, tracks of the timeline, sections, style and script."""
