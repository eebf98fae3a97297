"""What 1 and 0 stand for, everywhere."""

FAKE, REAL = 0, 1
LABEL_NAMES = ("fake", "real")
