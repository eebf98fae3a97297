"""Step 03: the training loop and its options."""
