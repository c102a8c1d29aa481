"""``python -m bench.diagnosis DIR...``: how often the diagnosis is right, on cases it never saw."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.errors import UserError
from agent.rules.catalogue import Catalogue
from bench.diagnosis.cases import Case, discover
from bench.diagnosis.engine import KnockOn
from bench.diagnosis.harness import run
from bench.diagnosis.report import as_json, below_thresholds
from bench.diagnosis.score import Scored
from bench.diagnosis.table import case_table, render


def main(argv: Sequence[str] | None = None) -> int:
    """Score the cases; 1 when a figure is under its threshold, 2 when the request is wrong."""
    options = _parser().parse_args(argv)
    try:
        return _score(options)
    except UserError as error:
        hint = f" ({error.hint})" if error.hint else ""
        print(f"bench.diagnosis: {error.message}{hint}", file=sys.stderr)
        return 2


def _score(options: argparse.Namespace) -> int:
    cases, unusable = discover(options.directories)
    if not cases:
        raise UserError("no case found", "a case is a corpus .yaml, or a bundle with its truth")
    engine = KnockOn(Catalogue.load(options.rules))
    if options.explain:
        return _explain(_chosen(cases, options.explain), engine)
    report = run(cases, engine, unusable, leave_out=options.leave_one_family_out)
    failures = below_thresholds(report, options.min_top1, options.min_abstain)
    if options.json:
        json.dump(as_json(report, failures), sys.stdout, indent=2)
        print()
    else:
        print(render(report))
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


def _chosen(cases: Sequence[Case], name: str) -> Case:
    fitting = [case for case in cases if case.id == name]
    fitting = fitting or [case for case in cases if case.id.startswith(name)]
    if len(fitting) != 1:
        some = ", ".join(case.id for case in (fitting or cases)[:5])
        raise UserError(f"--explain {name}: {len(fitting)} cases fit", f"name one, such as {some}")
    return fitting[0]


def _explain(case: Case, engine: KnockOn) -> int:
    print(case_table([Scored(case.id, case.truth, engine.verdict(case))]))
    print(f"\n{engine.explain(case)}")
    if case.notes:
        print(f"\nnotes: {case.notes}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.diagnosis", description=__doc__)
    parser.add_argument("directories", metavar="DIR", nargs="+", type=Path)
    parser.add_argument("--json", action="store_true", help="machine-readable report")
    parser.add_argument("--min-top1", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--min-abstain", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--leave-one-family-out", action="store_true")
    parser.add_argument("--explain", metavar="ID", help="show the reasons for one case")
    parser.add_argument("--rules", action="append", default=[], type=Path, metavar="FILE")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
