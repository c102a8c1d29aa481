"""What can be typed to say which cluster is meant, and as whom."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.commands.cluster.server import Server

NAMESPACE = "knockon"
ANSWER_S = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them to a command."""
    add = parser.add_argument_group("without a bundle or log, a cluster is asked").add_argument
    add("--context", default="", metavar="NAME", help="which context of the kubeconfig")
    add("--kubeconfig", type=Path, metavar="FILE", help="else KUBECONFIG, or ~/.kube/config")
    add("--agents", default=NAMESPACE, metavar="NS", help="the agents' namespace (default knockon)")
    add("--timeout", type=_seconds, default=ANSWER_S, metavar="S", help="of a request (default 10)")


def server_of(options: argparse.Namespace) -> Server:
    """Log in; raises UserError."""
    from agent.commands.cluster.server import Access, connect  # logging: only who asks pays for it

    return connect(Access(options.kubeconfig, options.context, options.timeout))


def typed(options: argparse.Namespace) -> tuple[str, ...]:
    """Give those that were typed, for whoever wants to ask the same again."""
    words: list[str] = []
    for name, default in (("context", ""), ("kubeconfig", None), ("agents", NAMESPACE)):
        value = getattr(options, name)
        words += [] if value == default else [f"--{name}", str(value)]
    return tuple(words)


def _seconds(text: str) -> float:
    try:
        value = float(text.removesuffix("s"))
    except ValueError:
        value = 0.0
    if not 0 < value <= 600:
        raise argparse.ArgumentTypeError(f"{text!r:.40} is no time to wait; write 5 or 30")
    return value
