"""What a configuration means on this machine: names, paths, and the way to the API server."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from agent.daemon.config import Config
from agent.errors import UserError
from agent.journal.live import JournalPlace
from agent.kube.access import Access, in_cluster, kubeconfig
from agent.recorder.docker_ps import DockerPs
from agent.recorder.host import Host
from agent.recorder.probe import Question


def node_name(config: Config) -> str:
    """Give the node's name as Kubernetes knows it."""
    return config.node.name or os.environ.get("NODE_NAME") or socket.gethostname()


def access_of(config: Config) -> Access | None:
    """Give the way to the API server; none when it is off."""
    if config.kube.access == "off":
        return None
    if config.kube.access == "in-cluster":
        return in_cluster(os.environ)
    return kubeconfig(Path(config.kube.kubeconfig), config.kube.context)


def rule_files(config: Config) -> list[Path]:
    """Give the files of the user's own rules; raises UserError when the folder is not there."""
    if not config.journal.rules:
        return []
    folder = Path(config.journal.rules)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder", "journal.rules names a folder of *.toml")
    return sorted(folder.glob("*.toml"))


def journal_place(config: Config) -> JournalPlace:
    """Give where the journal lies."""
    if config.journal.directory:
        return JournalPlace(directory=Path(config.journal.directory))
    return JournalPlace(root=Path(config.node.root)) if config.node.root != "/" else JournalPlace()


def ring_path(config: Config) -> Path:
    """Give where the recorder's ring lies."""
    return Path(config.recorder.ring) if config.recorder.ring else Host(Path(config.node.root)).ring


def questions_of(config: Config) -> list[Question]:
    """Give what the runtime is to be asked."""
    questions: list[Question] = []
    if config.probe.docker:
        questions.append(DockerPs(Path(config.probe.docker)))
    if config.probe.cri:
        from agent.recorder.cri import ListPods  # h2 is only needed here; imported before sampling

        questions.append(ListPods(Path(config.probe.cri)))
    return questions
