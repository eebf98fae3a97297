"""A look at a dataset: statistics, outliers, pairs, the gallery."""
