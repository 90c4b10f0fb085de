"""What the spool promises between processes: a record whose ``append`` returned outlives a SIGKILL of its writer."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from zirkel.store.spool import SpoolReader

_FLOOD = """
import sys, threading
from pathlib import Path
from zirkel.store.spool import SpoolWriter

writer = SpoolWriter(Path(sys.argv[1]), "child", segment_bytes=50_000)
append = writer.append_durable if sys.argv[2] == "durable" else writer.append
printing = threading.Lock()

def flood(worker):
    for index in range(10**9):
        name = f"{worker}-{index}"
        append(name.encode() + b" " + b"x" * (index % 700))
        with printing:
            sys.stdout.write(name + "\\n")
            sys.stdout.flush()

for worker in range(3):
    threading.Thread(target=flood, args=(worker,)).start()
"""


@pytest.mark.parametrize("how", ["plain", "durable"])
def test_every_acknowledged_record_is_there_after_the_writer_was_killed(tmp_path: Path, how: str) -> None:
    acknowledged: list[str] = []
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", _FLOOD, str(tmp_path), how], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            acknowledged += [child.stdout.readline().strip() for _ in range(300)]
            child.send_signal(signal.SIGKILL)
            acknowledged += [line.strip() for line in child.stdout.readlines() if line.endswith("\n")]
        assert child.returncode == -signal.SIGKILL
    assert "" not in acknowledged
    reader = SpoolReader(tmp_path)
    found: list[str] = []
    while (batch := reader.next_batch(50, 100_000)) is not None:
        found += [record.split(b" ")[0].decode() for record in batch.records]
        reader.commit(batch)
    reader.close()
    for name in set(acknowledged):
        assert found.count(name) >= acknowledged.count(name), name
    assert len(acknowledged) <= len(found) <= len(acknowledged) + 6, "at most one record per thread was under way"
