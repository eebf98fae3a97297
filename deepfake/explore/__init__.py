"""Explore a dataset: statistics, outliers, pairs, gallery."""
