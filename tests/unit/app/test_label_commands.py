"""``zirkel label``, ``zirkel labels`` and ``zirkel calibration`` as a user runs them, against a real server."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from typer.testing import CliRunner, Result

from tests.unit.api.label_api import LabelApi, open_label_api
from tests.unit.evaluate.label_world import ADMIN, ANN, BEN, coin, helpful, yes
from zirkel.app.cli import app
from zirkel.core import Invalid, Role

READER = (Role.ADMIN,)


@dataclass
class Shell:
    """A user's shell."""

    api: LabelApi
    url: str

    def run(self, *arguments: str, keys: str = "", who: str = "ann", roles: tuple[Role, ...] = ()) -> Result:
        """Run ``zirkel``, with keys on standard input."""
        environment = {"ZIRKEL_URL": self.url, "ZIRKEL_API_KEY": self.api.key(who, *roles)}
        return CliRunner().invoke(app, arguments, input=keys, env=environment, catch_exceptions=False)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with open_label_api(tmp_path, items=40) as api:
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(api.app, log_level="error", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield Shell(api, f"http://127.0.0.1:{listening.getsockname()[1]}")
        finally:
            server.should_exit = True
            thread.join()
            listening.close()


def labels(shell: Shell) -> list[dict[str, object]]:
    data = b"".join(shell.api.world.transfer.lines(ADMIN, "triage"))
    return [json.loads(line) for line in data.splitlines()]


def test_keys_label_skip_undo_comment_and_quit(shell: Shell) -> None:
    result = shell.run("label", "triage", "--draw", "5", "--second-share", "0", keys="ynsuycwhy not\nyq")
    assert result.exit_code == 0, result.output
    assert "5 answers are drawn for quality" in result.output
    assert "taken back; it comes again" in result.output
    assert "4 labels given" in result.output
    found = labels(shell)
    assert [line["comment"] for line in found if "comment" in line] == ["why not"]
    assert sorted(line["items"]["helpful"] for line in found) == [False, True, True, True]  # type: ignore[index]


def test_an_undone_label_stays_in_the_history_and_the_task_comes_again(shell: Shell) -> None:
    shell.run("label", "triage", "--draw", "1", "--second-share", "0", keys="yun")
    found = [(line["items"], line["is_withdrawn"]) for line in map(_full, labels(shell))]
    assert found == [({"helpful": True}, False), ({"helpful": True}, True), ({"helpful": False}, False)]


def _full(line: dict[str, object]) -> dict[str, object]:
    return {"is_withdrawn": False, **line}


def test_the_screen_shows_item_expected_answer_and_question_and_no_score_or_release(shell: Shell) -> None:
    shown = shell.run("label", "triage", "--draw", "1", keys="q").output
    for part in ("--- text\nquestion", "--- expected\nright", "--- answer\nanswer to", "helpful: It helps."):
        assert part in shown
    for hidden in ("cand", "c" * 12, "score"):
        assert hidden not in shown


def test_the_first_time_answers_are_drawn(shell: Shell) -> None:
    assert "40 answers are drawn" in shell.run("label", "triage", keys="q").output
    assert "are drawn" not in shell.run("label", "triage", keys="q").output


def test_when_nothing_is_left_it_is_said(shell: Shell) -> None:
    result = shell.run("label", "triage", "--draw", "2", "--second-share", "0", keys="yyy")
    assert "nothing is left for you: 2 of 2 answers have their label" in result.output


def test_a_third_person_settles_and_sees_what_was_said(shell: Shell) -> None:
    shell.api.world.draw(1, second_share=1.0)
    shell.api.world.label_at_once(ANN, lambda _: yes(True))
    shell.api.world.label_at_once(BEN, lambda _: yes(False))
    assert "1 wait to be settled" in shell.run("label", "triage", keys="q", who="cleo").output
    result = shell.run("label", "triage", "--disputed", keys="y", who="cleo")
    assert "rater 2 says" in result.output
    assert "settled" in result.output
    assert "there is nothing to settle" in result.output


def test_control_characters_of_an_answer_do_not_reach_the_terminal(shell: Shell) -> None:
    shell.api.world.experiment("cand2", lambda *_: helpful(True), output=lambda *_: "\x1b[2Jgone\x07")
    shown = shell.run("label", "triage", "--draw", "1", keys="q").output
    assert "\x1b" not in shown
    assert "[2Jgone" in shown


SCALE = {"model": "m/x", "scale": {"min": 1, "max": 5, "meanings": {"1": "useless"}}}
LONG_SCALE = {"model": "m/x", "scale": {"min": 0, "max": 10}}
CATEGORIES = {"model": "m/x", "categories": [{"label": "good", "value": 1.0}, {"label": "bad", "value": 0.0}]}


@pytest.mark.parametrize(
    ("kind", "options", "keys", "expected"),
    [
        ("judge", SCALE, "9x4", {"value": 4.0}),
        ("judge", LONG_SCALE, "10\n", {"value": 10.0}),
        ("judge", CATEGORIES, "2", {"category": "bad"}),
        ("human", {"question": "Polite?"}, "n", {"value": 0.0}),
    ],
)
def test_each_kind_of_question_has_its_keys(
    shell: Shell, kind: str, options: dict[str, object], keys: str, expected: dict[str, object]
) -> None:
    shell.api.world.evaluator("f" * 64, kind, options)
    shell.api.world.experiment("other", lambda *_: helpful(True), evaluators="f" * 64)
    result = shell.run("label", "triage", "--draw", "1", keys=keys)
    assert "1 labels given" in result.output, result.output
    (found,) = labels(shell)
    assert {name: found[name] for name in expected} == expected


def test_a_pair_is_labelled_by_what_is_first_on_the_screen(shell: Shell) -> None:
    shell.api.world.evaluator("f" * 64, "pairwise", {"model": "m/x"})
    shell.api.world.experiment(
        "pair", lambda *_: helpful(True), evaluators="f" * 64, other="cand", output=lambda *_: "ours"
    )
    result = shell.run("label", "triage", "--draw", "1", keys="1")
    is_first = result.output.index("ours") < result.output.index("answer to")
    (found,) = labels(shell)
    assert found["label_value"] == float(is_first)


def test_labels_are_exported_and_imported(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    shell.run("label", "triage", "--draw", "3", "--second-share", "0", keys="yyy")
    said = shell.run("labels", "export", "triage", str(file), roles=READER)
    assert said.output.strip() == f"{file}: 3 labels"
    again = shell.run("labels", "import", "triage", str(file), roles=READER)
    assert again.output.strip() == "0 labels added, 3 known already, 0 refused"
    file.write_text('{"rater": 1}\n')
    refused = shell.run("labels", "import", "triage", str(file), roles=READER)
    assert refused.exit_code == 1
    assert "line 1: the line is no label" in refused.output


def test_a_file_that_is_not_there_is_said(shell: Shell, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="No such file"):
        shell.run("labels", "import", "triage", str(tmp_path / "none"), roles=READER)


def test_calibration_says_plainly_when_there_are_too_few_labels(shell: Shell) -> None:
    result = shell.run("calibration", "triage", "quality", roles=READER)
    assert result.exit_code == 1
    assert "TOO FEW LABELS to decide by it" in result.output
    assert "label 50 more with zirkel label triage --evaluator quality" in result.output


def test_calibration_says_plainly_when_a_judge_is_weak(shell: Shell) -> None:
    world = shell.api.world
    world.dataset(120)
    world.experiment("big", lambda item, _: helpful(coin(f"j{item}", 0.5)), output=lambda i, _: i)
    world.draw(120)
    world.label_at_once(ANN, lambda output: yes(coin(f"truth {output}", 0.6)))
    result = shell.run("calibration", "triage", roles=READER)
    assert result.exit_code == 1
    assert "WEAK: do not decide by it" in result.output
    assert "this judge is weak: Youden's index is" in result.output


def test_calibration_of_a_good_judge_is_told_with_its_intervals(shell: Shell) -> None:
    world = shell.api.world
    world.dataset(120)
    world.experiment("big", lambda item, _: helpful(coin(f"truth {item}", 0.6)), output=lambda i, _: i)
    world.draw(80, second_share=0.5)
    world.label_at_once(ANN, lambda output: yes(coin(f"truth {output}", 0.6)))
    world.label_at_once(BEN, lambda output: yes(coin(f"truth {output}", 0.6) == coin(output, 0.9)))
    result = shell.run("calibration", "triage", roles=READER)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[1] == "CALIBRATED"
    for part in ("agreement", "kappa", "AC1", "alpha", "sensitivity", "specificity", "youden", "two people agree"):
        assert part in result.output
    report = json.loads(shell.run("calibration", "triage", "--json", roles=READER).output)
    assert report["state"] == "calibrated"
