"""Step 04: from predictions of frames to verdicts on videos, with Spark."""
