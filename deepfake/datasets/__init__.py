"""Read the videos of a dataset and their labels, originals and sets: one module for each kind of dataset."""
