"""Models: built, loaded safely, described, exported."""
