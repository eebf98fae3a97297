"""Make batches for a model from the crops of a set."""
