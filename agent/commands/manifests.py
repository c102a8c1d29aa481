"""``knockon render``, ``apply`` and ``delete``: loaded when asked for, for they need an extra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from agent.errors import UserError

WORDS: Mapping[str, str] = MappingProxyType(
    {
        "render": "print manifests made from Python templates",
        "apply": "hand them to kubectl apply, checked",
        "delete": "hand them to kubectl delete",
    }
)


def run(word: str, argv: Sequence[str]) -> int:
    """Run one of them and return its exit status."""
    try:
        from daemonset.commands import main
    except ModuleNotFoundError as missing:
        raise UserError(f"{word} needs {missing.name}", "pip install 'knockon[k8s]'") from None
    return main(word, argv)
