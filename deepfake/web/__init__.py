"""Step 06: the local page."""
