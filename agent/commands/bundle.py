"""``knockon bundle collect``: everything ``why --bundle`` needs, taken along from a node."""

from __future__ import annotations

import argparse
import re
import sys
import time
from contextlib import closing
from pathlib import Path

from agent.daemon.config import Config
from agent.errors import UserError
from agent.printable import safe
from agent.times import parse
from agent.words import counted

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd])\Z")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    add = parser.add_argument
    add("action", choices=("collect",), help="collect a bundle on this node")
    add("--out", type=Path, required=True, metavar="PATH", help="folder, .tar.gz or .tar.zst")
    add("--config", type=Path, metavar="FILE", help="the agent's settings")
    add("--root", type=Path, metavar="DIR", help="a host's / as mounted here")
    add("--journal-dir", type=Path, metavar="DIR", help="a folder of journal files")
    add("--ring", type=Path, metavar="FILE", help="the recorder's ring")
    add("--since", default="2h", metavar="TIME", help="2h ago, or a time (default 2h)")
    add("--until", default="", metavar="TIME", help="a time (default now)")
    add("--node", default="", metavar="NODE", help="the node's name in Kubernetes")
    for name in ("pods", "events", "nodes"):
        words = f"kubectl get {name} -o json, instead of asking the API server"
        add(f"--{name}", type=Path, metavar="FILE", help=words)


def command(options: argparse.Namespace) -> int:
    """Collect and write; what cannot be had is said and left out."""
    from agent.daemon import collect
    from agent.daemon.places import access_of, journal_place, node_name, ring_path, rule_files
    from agent.journal.live import JournalPlace
    from agent.journal.matches import matches_for
    from agent.kube.http import Api
    from agent.recorder.host import Host
    from agent.rules.catalogue import Catalogue

    config = _config(options)
    now_s = time.time()  # noqa: TID251 - the edge
    span = collect.Span(_moment(options.since, now_s), _moment(options.until or "0s", now_s))
    parts = collect.Parts(node=options.node or node_name(config))
    catalogue = Catalogue.load(rule_files(config))
    place = (
        JournalPlace(directory=options.journal_dir)
        if options.journal_dir
        else (journal_place(config))
    )
    entries = collect.collect_journal(parts, place, matches_for(catalogue.rules), span)
    collect.collect_ring(parts, options.ring or ring_path(config))
    given = {name: getattr(options, name) for name in ("pods", "events", "nodes")}
    collect.collect_files(parts, given)
    access = None if any(given.values()) else access_of(config)
    if access is not None:
        with closing(Api(access)) as api:
            collect.collect_kube(parts, api, parts.node)
    collect.add_meta(parts, Host(Path(config.node.root)), Path(config.state.directory), now_s)
    collect.write_bundle(parts, options.out)
    for spot in parts.blind:
        sys.stderr.write(f"knockon: {spot.source}: {safe(spot.why, 400)}\n")
    said = f"{safe(str(options.out), 300)}: {counted(entries, 'journal entry', 'journal entries')}"
    sys.stdout.write(f"{said}, {', '.join(sorted(set(parts.sources)))}\n")
    return 0


def _config(options: argparse.Namespace) -> Config:
    from dataclasses import replace

    from agent.daemon.config import KubeSettings
    from agent.daemon.config_file import load_config

    config = (
        load_config(options.config) if options.config else Config(kube=KubeSettings(access="off"))
    )
    if options.root:
        config = replace(config, node=replace(config.node, root=str(options.root)))
    return config


def _moment(words: str, now_s: float) -> float:
    """Read ``2h`` (ago) or a time."""
    found = _SPAN.match(words.removesuffix(" ago").replace(" ", ""))
    if found:
        return now_s - float(found[1]) * _UNITS_S[found[2]]
    try:
        return parse(words)
    except ValueError as error:
        raise UserError(f"{words!r} is no time", "write 2h, or 2026-11-23T11:44:16Z") from error
