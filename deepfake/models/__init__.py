"""Build, load, describe and export models."""
