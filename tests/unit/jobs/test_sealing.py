"""Days are sealed again and again, whatever happens to one of the tries."""

import threading

from zirkel.core import Overloaded
from zirkel.jobs.sealing import Sealing


class Store:
    """Fails twice, in two ways."""

    def __init__(self) -> None:
        self.tries = 0
        self.is_enough = threading.Event()

    def seal_days(self) -> int:
        self.tries += 1
        if self.tries == 1:
            raise Overloaded("busy")
        if self.tries == 2:
            raise ValueError("a fault")
        if self.tries == 4:
            self.is_enough.set()
        return self.tries - 3


def test_a_try_that_fails_is_not_the_last_one() -> None:
    store = Store()
    sealing = Sealing(store, every_s=0.001)
    sealing.start()
    assert store.is_enough.wait(10)
    sealing.stop()
    tries = store.tries
    assert tries >= 4
    assert not threading.Event().wait(0.02)
    assert store.tries == tries


def test_it_may_be_stopped_though_it_never_started() -> None:
    Sealing(Store()).stop()
