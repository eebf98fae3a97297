"""From the crops of a set to batches for a model."""
