"""Errors that are meant for users, and what is wrong with a video."""


class UserError(Exception):
    """Something that the user can put right; its text is one line that names the file and the remedy."""


class VideoError(Exception):
    """A video that cannot be used; its text is the reason in failures.csv."""
