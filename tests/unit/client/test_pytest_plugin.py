"""The plug-in of pytest, in runs of pytest of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from zirkel.app.config import clean_environment

ITEMS = "".join(f'{{"id": "i{n}", "input": {{"q": "{n}"}}, "expected": "{n}"}}\n' for n in range(40))
TEST = """\
import pytest


def answer(given):
    return given["q"] if int(given["q"]) >= {wrong} else "wrong"


@pytest.mark.zirkel(dataset="items.jsonl", evaluators=["exact"], {mark})
def test_answers(zirkel_evaluate):
    result = zirkel_evaluate(answer)
    print("mean", result.scores["exact"].estimate)
"""


def run(folder: Path, text: str) -> "subprocess.CompletedProcess[str]":
    (folder / "items.jsonl").write_text(ITEMS)
    (folder / "test_it.py").write_text(text)
    # Named, so that it is there also where Zirkel was installed before it had the entry point.
    plugins = ["-p", "no:zirkel", "-p", "zirkel.client.pytest_plugin", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *plugins, "-rA"]
    return subprocess.run(
        [*command, "--strict-markers", str(folder)],
        capture_output=True,
        text=True,
        env=clean_environment({}),
        cwd=folder,
        check=False,
        timeout=100,
    )


@pytest.mark.parametrize(
    ("wrong", "mark", "exit_code", "said"),
    [
        (0, "floor=0.9", 0, "mean 1.0"),
        (0, "floor={'exact': 0.9}, trials=2, concurrency=2", 0, "mean 1.0"),
        (0, "", 0, "mean 1.0"),
        (30, "floor=0.9", 1, "below the floor 0.9"),
        (2, "floor=0.95", 1, "inconclusive: exact: mean 0.950 of 40 items, bounds"),
        (2, "floor=0.95, inconclusive='skip'", 0, "1 skipped"),
    ],
)
def test_a_mean_with_its_bounds_passes_fails_or_is_inconclusive(
    tmp_path: Path, wrong: int, mark: str, exit_code: int, said: str
) -> None:
    done = run(tmp_path, TEST.format(wrong=wrong, mark=mark))
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert said in done.stdout


def test_an_errored_answer_fails_the_test(tmp_path: Path) -> None:
    text = TEST.format(wrong=0, mark="floor=0.1").replace(
        'return given["q"] if', 'return 1 / 0 if given["q"] == "7" or'
    )
    done = run(tmp_path, text.replace(" >= 0 else", " < 0 else given['q'] if True else"))
    assert done.returncode == 1
    assert "1 answers are errored" in done.stdout


def test_an_errored_score_fails_the_test(tmp_path: Path) -> None:
    broken = "def broken(output):\n    raise ValueError(output)\n\n\n"
    text = TEST.format(wrong=0, mark="floor={'exact': 0.1}").replace('["exact"]', '["exact", broken]')
    done = run(tmp_path, text.replace("def answer", broken + "def answer"))
    assert done.returncode == 1
    assert "40 scores are errored" in done.stdout


def test_a_test_without_the_mark_says_what_is_missing(tmp_path: Path) -> None:
    done = run(tmp_path, "def test_answers(zirkel_evaluate):\n    pass\n")
    assert done.returncode == 1
    assert "needs @pytest.mark.zirkel" in done.stdout
