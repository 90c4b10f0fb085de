"""Keys as they are pressed in a terminal, or fed through a pipe."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from zirkel.app.cli.label_session import Keys


class TerminalKeys:
    """Keys of a terminal as they are pressed."""

    def __init__(self, cooked: object, descriptor: int) -> None:
        self._cooked = cooked
        self._descriptor = descriptor

    def key(self) -> str:
        """Return the next key."""
        return sys.stdin.read(1)

    def line(self) -> str:
        """Return a line, typed and edited as everywhere."""
        import termios  # noqa: PLC0415 (see open_keys)

        raw = termios.tcgetattr(self._descriptor)
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._cooked)  # type: ignore[arg-type]
        try:
            return sys.stdin.readline().rstrip("\n")
        finally:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, raw)


class FedKeys:
    """Keys from a file or a pipe; ends of lines are none."""

    def key(self) -> str:
        """Return the next key."""
        while (found := sys.stdin.read(1)) in ("\n", "\r"):
            pass
        return found

    def line(self) -> str:
        """Return what is left of the line."""
        return sys.stdin.readline().rstrip("\n")


@contextmanager
def open_keys() -> Iterator[Keys]:
    """Give single keys of the terminal, or those that are fed through standard input."""
    if not sys.stdin.isatty():
        yield FedKeys()
        return
    # Not there on Windows, whose users feed keys or use the console's page.
    import termios  # noqa: PLC0415 (as said)
    import tty  # noqa: PLC0415

    descriptor = sys.stdin.fileno()
    cooked = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield TerminalKeys(cooked, descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, cooked)
