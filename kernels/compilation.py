"""Tell when a kernel has to be compiled: once for every machine and version, after that it comes from the cache."""

from collections.abc import Callable

from numba.core import event


class _Listener(event.Listener):
    """Calls a function at the first compilation."""

    def __init__(self, tell):
        self.tell = tell

    def on_start(self, event):
        """Tell, the first time."""
        tell, self.tell = self.tell, None
        if tell is not None:
            tell()

    def on_end(self, event):
        """Nothing to tell."""


def at_first_compilation(tell: Callable[[], object]) -> Callable[[], None]:
    """Call tell() when the first kernel from now on is compiled, and never where all come from the cache.

    Returns
    -------
    A function that stops the watch.
    """
    listener = _Listener(tell)
    event.register("numba:compile", listener)

    def stop() -> None:
        event.unregister("numba:compile", listener)

    return stop
