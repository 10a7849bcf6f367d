"""`revpipe capacity` as it is typed: its figures, and what it says to bad ones."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from revpipe.cli import main
from tests.unit.test_capacity_benchmark import WHOLE, a_run

ROOT = Path(__file__).parents[2]


Typed = Callable[..., tuple[int, str, str]]
"""Words → exit code, stdout, stderr."""


@pytest.fixture
def capacity(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """The command in this process: a process of its own spends seconds on reading modules."""
    monkeypatch.chdir(ROOT)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["revpipe", "capacity", *words])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        return (code, *capsys.readouterr())

    return run


def told(capacity: Typed, *words: str) -> Any:
    code, out, complaint = capacity("--json", *words)
    assert code == 0, complaint
    return json.loads(out)


def test_json_holds_all_that_was_asked_for(capacity: Typed) -> None:
    found = told(capacity, "--signals-per-day", "1000000", "--mix", "single=100", "--peak", "10")
    assert [one["kind"] for one in found["dynos"]] == ["web", "worker", "keeper", "beat"]
    assert found["per_second"] == pytest.approx(27.78, abs=0.01)
    assert found["database_connections"] == sum(one["database"] for one in found["dynos"])
    assert found["first"] == found["limits"][0]
    assert {one["kind"] for one in found["kept"]} == {"deliveries", "signals", "trail", "dead_letters", "counters"}
    assert found["wanted"]["mix"] == {"single": 1.0, "batch": 0.0, "file": 0.0}
    assert found["measured"]["at"]


def test_the_table_names_the_first_bottleneck_and_the_measurement() -> None:
    command = [sys.executable, "-m", "revpipe", "capacity", "--signals-per-day", "100000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    for word in ("worker", "First bottleneck: ", "together", "Measured by"):
        assert word in done.stdout


def test_another_runs_figures_take_the_place_of_ours(capacity: Typed, tmp_path: Path) -> None:
    file = tmp_path / "latest.json"
    file.write_text(json.dumps(a_run(**WHOLE)))
    words = ("--signals-per-day", "1000", "--mix", "single=100", "--acts", "0", "--benchmark", str(file))
    found = told(capacity, *words)
    assert found["measured"]["plan"] == "quick"
    assert found["dynos"][0]["carries"] == pytest.approx(1000 / 0.55)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "--signals-per-day"),
        (["--signals-per-day", "-5"], "-5 is not in the range"),
        (["--signals-per-day", "many"], "many"),
        (["--signals-per-day", "1000", "--mix", "single=60,batch=30"], "the shares make 90 %, not 100"),
        (["--signals-per-day", "1000", "--mix", "emails=100"], "there are: single, batch, file"),
        (["--signals-per-day", "1000", "--acts", "120"], "120"),
        (["--signals-per-day", "1000", "--acts", "nan"], "nan is no number to calculate with"),
        (["--signals-per-day", "1000", "--vendor-ms", "inf"], "inf is no number to calculate with"),
        (["--signals-per-day", "1000", "--peak", "2"], "2"),
        (["--signals-per-day", "1000", "--headroom", "100"], "100"),
        (["--signals-per-day", "1000", "--benchmark", "nowhere.json"], "nowhere.json"),
        (["--signals-per-day", "1000", "--benchmark", "README.md"], "README.md is no benchmark's JSON"),
    ],
)
def test_bad_input_is_told_what_is_wrong_with_it(capacity: Typed, words: list[str], complaint: str) -> None:
    code, _, told = capacity(*words)
    assert code == 2
    assert complaint in told
    assert "Traceback" not in told
