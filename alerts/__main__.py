"""`python -m alerts`: write the rules, dashboards and reference pages again."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent.errors import UserError
from alerts.reference import METRICS_PAGE, metrics_page
from alerts.rendering import GENERATED, HERE, readme, write
from alerts.thresholds import Values, load


def main() -> int:
    """Write what is committed, or with --values another rendering to another folder."""
    parser = argparse.ArgumentParser(prog="python -m alerts", description=__doc__)
    parser.add_argument("--values", type=Path, metavar="FILE", help="thresholds and links (TOML)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: alerts/generated")
    options = parser.parse_args()
    if options.values and not options.out:
        parser.error("--values needs --out DIR: what is committed has the defaults")
    try:
        values = load(options.values) if options.values else Values()
    except UserError as error:
        sys.stderr.write(f"knockon: {error.message} ({error.hint})\n")
        return 2
    written = write(values, options.out or GENERATED)
    if not options.out:
        (HERE / "README.md").write_text(readme(values), "utf-8")
        METRICS_PAGE.write_text(metrics_page(), "utf-8")
        written += [HERE / "README.md", METRICS_PAGE]
    sys.stdout.write("".join(f"{path}\n" for path in written))
    return 0


if __name__ == "__main__":
    sys.exit(main())
