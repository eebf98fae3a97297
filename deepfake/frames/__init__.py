"""Step 00: take a few frames of each video, exactly as a full decode would give them."""
