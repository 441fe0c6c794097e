"""The benchmarks' judgement: which ratio meets a bound, and what the exit code tells. Nothing is timed here."""

from collections.abc import Callable

import pytest

from benchmarks import __main__ as command
from benchmarks.measure import Bound, Row, Turns
from benchmarks.serving import CannotMeasure

HOLDS = Row("ours", "1 µs", "theirs", "1 µs", 1.0, Bound(at_most=1.0))
MISSED = Row("ours", "2 µs", "theirs", "1 µs", 2.0, Bound(at_most=1.0))
INFORMS = Row("ours", "9 µs", "theirs", "1 µs", 9.0)


def not_to_be_measured() -> list[Row]:
    raise CannotMeasure("the program wrk is missing; on Debian: apt-get install wrk")


@pytest.mark.parametrize(
    ("bound", "ratio", "holds"),
    [
        (Bound(at_most=1.05), 1.05, True),
        (Bound(at_most=1.05), 1.0501, False),
        (Bound(at_least=0.6), 0.6, True),
        (Bound(at_least=0.6), 0.5999, False),
        (Bound(at_most=1.0), float("nan"), False),
    ],
)
def test_a_bound_holds_up_to_its_very_value(bound: Bound, ratio: float, holds: bool) -> None:
    assert bound.holds(ratio) is holds


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    """What slows a whole round down slows both; what slows one turn down is an outlier, whoever it hits."""
    turns = Turns({"ours": [1.0, 20.0, 3.0, 90.0, 2.0], "theirs": [1.0, 10.0, 2.0, 1.0, 80.0]})

    assert turns.ratio("ours", "theirs") == 1.5


@pytest.mark.parametrize(
    ("runs", "exit_code", "said"),
    [
        ([lambda: [HOLDS, INFORMS]], 0, "Every bound holds."),
        ([lambda: [HOLDS, MISSED]], 1, "1 bound MISSED"),
        ([not_to_be_measured, lambda: [HOLDS]], 2, "NOT MEASURED: a"),
        ([not_to_be_measured, lambda: [MISSED, MISSED]], 1, "2 bounds MISSED"),
    ],
    ids=["all hold", "one missed", "one left out", "both"],
)
def test_the_exit_code_tells_what_came_out(
    runs: list[Callable[[], list[Row]]], exit_code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = {letter: ("title", run) for letter, run in zip("ab", runs, strict=False)}

    assert command.run_all(chosen) == exit_code
    assert said in capsys.readouterr().out


def test_an_unknown_benchmark_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["--only", "a,x"])

    assert "there is no 'x'; choose among a, b, c, d" in capsys.readouterr().err
