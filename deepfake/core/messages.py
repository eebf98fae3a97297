"""What the package tells its user while it works: messages of `logging`, which the scripts print as plain lines."""

import logging

log = logging.getLogger("deepfake")


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # at once, through a pipe too; a broken pipe ends the script as it does after a print
        print(record.getMessage(), flush=True)


def show_messages() -> None:
    """Print every message on standard output; a program that imports the package sees warnings only, by `logging`."""
    log.setLevel(logging.INFO)
    log.propagate = False
    if not any(isinstance(handler, _Lines) for handler in log.handlers):
        log.addHandler(_Lines())
