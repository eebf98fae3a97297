"""Write the report on videos: one HTML file with verdicts and evidence."""
