"""Step 00: from a video's file to a few exact frames."""
