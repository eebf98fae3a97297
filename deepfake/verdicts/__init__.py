"""Step 04: turn predictions of frames into verdicts on videos, with Spark."""
