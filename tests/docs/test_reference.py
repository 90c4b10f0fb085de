"""The reference is what the program says of itself."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_page_of_the_reference_is_up_to_date() -> None:
    check = subprocess.run(
        [sys.executable, "tools/reference.py", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_no_page_of_the_reference_is_written_by_hand() -> None:
    pages = sorted((ROOT / "docs" / "reference").iterdir())
    assert pages
    assert [page.name for page in pages if "Written by tools/reference.py" not in page.read_text()] == []
