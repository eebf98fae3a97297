"""Evaluate predictions: metrics, calibration, plots. Step 03a."""
