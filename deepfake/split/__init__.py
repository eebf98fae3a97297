"""Step 02: which crops train, which validate and which test."""
