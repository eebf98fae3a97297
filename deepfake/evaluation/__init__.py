"""What predictions are worth: metrics, calibration, plots. Step 03a."""
