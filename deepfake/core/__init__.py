"""Shared by every other room: errors, files, labels, the decision, the crop rule, the command line."""
