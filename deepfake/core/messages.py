"""Progress messages for the user, by `logging`; the scripts print them as plain lines."""

import logging

log = logging.getLogger("deepfake")


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # print, not a StreamHandler: it flushes into pipes too, and a broken pipe ends the script
        print(record.getMessage(), flush=True)


def show_messages() -> None:
    """Print all messages to standard output. Without this, programs that import the package see only warnings."""
    log.setLevel(logging.INFO)
    log.propagate = False
    if not any(isinstance(handler, _Lines) for handler in log.handlers):
        log.addHandler(_Lines())
