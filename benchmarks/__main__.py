"""The command ``python -m benchmarks``, which ``make bench`` calls."""

import argparse
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence

from benchmarks import growth, invoking, negotiate, outages, sending, serving, signing, windows, workers
from benchmarks.measure import Row
from benchmarks.serving import CannotMeasure

BENCHMARKS: dict[str, tuple[str, Callable[[], list[Row]]]] = {
    "a": ("signing a service token, CPU time", signing.run),
    "b": ("one negotiate request in the process, CPU time", negotiate.run),
    "c": ("requests per second on one core under granian", lambda: serving.run(progress)),
    "d": ("growth, CPU time; imports on top of Flask and PyJWT", growth.run),
    "e": ("one Windows sign-on over HTTP, CPU time of the server", windows.run),
    "f": ("one upstream invocation in the process, CPU time", invoking.run),
    "g": ("sends per second through the REST API, on one connection", sending.run),
    "h": ("growth of what is invoked, CPU time", invoking.run_sizes),
    "i": ("one negotiate request while service endpoints are down, CPU time", outages.run),
    "j": ("requests per second on one core, worker processes and service endpoints", lambda: workers.run(progress)),
}

ABOUT = """
Measures what flask_signalr costs, as ratios to what one would use otherwise, and says which bounds hold.

Subject and peer take turns, each for a moment, and a ratio is the median over all turns: what else the machine does
meets both. (c) and (j) count requests per second, with the servers on one core and the load generator wrk on another,
and (g) sends per second, all over loopback only; the others count CPU time. All takes about five minutes.

Read a line as: the subject takes so many times what its peer takes; in (c), (g) and (j), it manages so many times the
requests.
"""

EXIT_CODES = "exit code: 0 if every bound holds, 1 if one is missed, 2 if something could not be measured"


def progress(text: str) -> None:
    """Show what is going on, on the terminal only."""
    if sys.stderr.isatty():
        print(f"\r\033[K    {text}", end="", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that the command line asks for, and return the exit code."""
    return run_all({letter: BENCHMARKS[letter] for letter in _parse(arguments)})


def run_all(benchmarks: Mapping[str, tuple[str, Callable[[], list[Row]]]]) -> int:
    """Run benchmarks, print what comes out, and return the exit code."""
    missed, left_out = 0, []
    for letter, (title, run) in benchmarks.items():
        print(f"\n({letter}) {title}", flush=True)
        start = time.monotonic()
        try:
            rows = run()
        except CannotMeasure as exc:
            left_out.append(letter)
            print(f"    !!! LEFT OUT: {exc}", flush=True)
            continue
        progress("")
        print(table(rows) + f"\n    ({time.monotonic() - start:.0f} s)", flush=True)
        missed += sum(row.is_missed for row in rows)
    return _conclusion(missed, left_out)


def _parse(arguments: Sequence[str] | None) -> list[str]:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=ABOUT,
        epilog="\n".join([*(f"({letter}) {title}" for letter, (title, _) in BENCHMARKS.items()), "", EXIT_CODES]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", metavar="LETTERS", default=",".join(BENCHMARKS), help="some of them, such as: a,c")
    letters = [letter.strip() for letter in parser.parse_args(arguments).only.split(",")]
    if unknown := set(letters) - set(BENCHMARKS):
        parser.error(f"there is no {', '.join(sorted(unknown))!r}; choose among {', '.join(BENCHMARKS)}")
    return letters


def table(rows: Sequence[Row]) -> str:
    """Return the rows as aligned text."""
    cells = [(row.subject, row.figure, row.peer, row.peer_figure, row.shown_ratio, row.verdict) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)
    return textwrap.indent("\n".join(line.rstrip() for line in lines), "    ")


def _conclusion(missed: int, left_out: Sequence[str]) -> int:
    if left_out:
        print(f"\n!!! NOT MEASURED: {', '.join(left_out)}. What is missing stands above.")
    if missed:
        print(f"\n!!! {missed} bound{'s' if missed > 1 else ''} MISSED. On a busy machine, try once more.")
        return 1
    if left_out:
        return 2
    print("\nEvery bound holds.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
