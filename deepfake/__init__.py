"""Videos of faces go in, a verdict for each video comes out: one module for each step of the way."""
