"""``python -m agent.fleet FILE``: the replica that ``knockon agent --cluster`` becomes."""

from __future__ import annotations

import sys
from pathlib import Path

from agent.daemon.config_file import load_config
from agent.daemon.log import Log
from agent.errors import UserError
from agent.fleet.assemble import Replica
from agent.printable import safe

MISTAKE = 2


def main(argv: list[str]) -> int:
    """Run until told to stop; 2 when something in the configuration cannot be used."""
    try:
        config = load_config(Path(argv[0]))
        return Replica(config, Log(config.log.form)).run()
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "prometheus_client":
            raise
        said, hint = f"this needs {missing.name}", "pip install 'knockon[agent]'"
    except UserError as error:
        said, hint = error.message, error.hint
    sys.stderr.write(f"knockon: {safe(said, 600)}{f' ({safe(hint, 300)})' if hint else ''}\n")
    return MISTAKE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
