"""Errors that are shown to users, and errors of single videos."""


class UserError(Exception):
    """An error that the user can fix; its text is one line that names the file and the remedy."""


class VideoError(Exception):
    """A video that cannot be used; its text is the reason in failures.csv."""
