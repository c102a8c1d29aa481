"""`python -m daemonset`: write install.yaml and docs/values.md again."""

from __future__ import annotations

import sys

from daemonset.generated import files


def main() -> int:
    """Write what is committed, and say where."""
    for path, text in files():
        path.write_text(text, "utf-8")
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
