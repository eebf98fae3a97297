"""The labels: 1 is real, 0 is fake, everywhere."""

FAKE, REAL = 0, 1
LABEL_NAMES = ("fake", "real")
