"""``python -m agent.daemon FILE``: the agent itself; ``knockon agent`` becomes this."""

from __future__ import annotations

import sys
from pathlib import Path

from agent.daemon.assemble import Agent
from agent.daemon.config_file import load_config
from agent.daemon.log import Log
from agent.daemon.places import node_name
from agent.errors import UserError
from agent.printable import safe

MISTAKE = 2


def main(argv: list[str]) -> int:
    """Run until told to stop; 2 when something in the configuration cannot be used."""
    try:
        config = load_config(Path(argv[0]))
        return Agent(config, Log(config.log.form, node=node_name(config))).run()
    except UserError as error:
        hint = f" ({safe(error.hint, 300)})" if error.hint else ""
        sys.stderr.write(f"knockon: {safe(error.message, 600)}{hint}\n")
        return MISTAKE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
