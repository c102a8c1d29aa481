"""A reader that was told beforehand what will be left over: ``oracle DSN FROM_S:RATE,…``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from backup.abort import Abort
from backup.law.pace import Pacer
from backup.postgres.order import BaseBackup
from backup.postgres.session import Session
from backup.postgres.wire import Data, Wire

CEILING_BYTES_PER_S = 100e6


def main(argv: Sequence[str]) -> int:
    """Read a base backup at the rates told, and throw it away."""
    dsn, written = argv
    rates = [tuple(map(float, step.split(":"))) for step in written.split(",")]
    session = Session.connect(dsn, Abort())
    try:
        wire = Wire(session)
        started = wire.start_backup(BaseBackup("oracle", CEILING_BYTES_PER_S, fast_checkpoint=True))
        began_s = time.monotonic()
        pacer = Pacer(rates[0][1], began_s)
        for message in wire.messages(started):
            now_s = time.monotonic()
            while rates and now_s - began_s >= rates[0][0]:
                pacer.turn(rates.pop(0)[1], now_s)
            if isinstance(message, Data):
                time.sleep(pacer.grant(len(message.data), now_s))
    finally:
        session.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
