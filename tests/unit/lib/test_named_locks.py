"""Locks for names."""

import threading
from collections.abc import Sequence

from zirkel.lib.named_locks import NamedLocks


def run_together(*works: threading.Thread) -> None:
    for work in works:
        work.start()
    for work in works:
        work.join(timeout=30)
        assert not work.is_alive()


def test_those_who_work_on_one_name_do_it_one_after_another() -> None:
    locks = NamedLocks()
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(200):
            with locks.hold(["a"]):
                inside += 1
                most = max(most, inside)
                inside -= 1

    run_together(*(threading.Thread(target=work) for _ in range(4)))
    assert most == 1


def test_a_name_that_is_held_keeps_others_out_until_it_is_let_go() -> None:
    locks, entered = NamedLocks(), threading.Event()

    def work() -> None:
        with locks.hold(["a"]):
            entered.set()

    with locks.hold(["b", "a"]):
        waiting = threading.Thread(target=work)
        waiting.start()
        assert not entered.wait(0.05)
    waiting.join(timeout=30)
    assert entered.is_set()


def test_those_who_hold_several_names_in_any_order_never_wait_for_each_other_for_ever() -> None:
    locks = NamedLocks(count=3)
    names = [f"name {number}" for number in range(12)]

    def work(order: Sequence[str]) -> None:
        for _ in range(300):
            with locks.hold(order):
                pass

    run_together(*(threading.Thread(target=work, args=[order]) for order in (names, names[::-1], names[6:], names[:6])))
