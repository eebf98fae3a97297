"""Step 05: verdicts on new videos."""
