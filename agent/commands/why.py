"""Wire the parts together: from a bundle or a pasted log to the report that answers."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.diagnosis.correlate import Correlation, Scope, correlate
from agent.diagnosis.diagnose import diagnose
from agent.errors import UserError
from agent.model import BlindSpot, Diagnosis, Fact, Pod, Record, Trust
from agent.report.timeline import SHORT
from agent.report.view import Asked, Origin, Report, concerns, report
from agent.rules.catalogue import Catalogue
from agent.sources.bundle import Bundle, open_bundle
from agent.sources.pasted import read_pasted


@dataclass(frozen=True, slots=True)
class Pasted:
    """A log somebody pasted; ages in it, such as "5m ago", count from ``now_s``."""

    name: str
    text: str
    now_s: float


@dataclass(frozen=True, slots=True)
class Question:
    """What a person asked, about which input."""

    bundle: Path | None = None
    log: Pasted | None = None
    pod: str = ""
    namespace: str = ""
    node: str = ""
    rules: tuple[Path, ...] = ()
    now_s: float | None = None  # for ages in a bundle; none: its file's own time
    moments: int = SHORT


@dataclass(slots=True)
class _Heard:
    """What the rules made of everything that was read."""

    facts: list[Fact] = field(default_factory=list)
    blind: list[BlindSpot] = field(default_factory=list)
    spoofed: int = 0

    @property
    def quoted(self) -> bool:
        """Nobody vouches for any of it."""
        return all(fact.trust is Trust.QUOTED for fact in self.facts)

    def listen(self, records: Iterable[Record | BlindSpot], catalogue: Catalogue) -> None:
        """Read records once, in order; count what pretended to be somebody else."""
        for record in records:
            if isinstance(record, BlindSpot):
                self.blind.append(record)
                continue
            reading = catalogue.read(record)
            self.facts.extend(reading.facts)
            self.spoofed += reading.spoofed is not None


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """Every incident of an input, and what was read."""

    diagnoses: tuple[Diagnosis, ...]
    origin: Origin


def answer(question: Question) -> Report:
    """Read the input and explain it."""
    found = diagnosed(question)
    asked = _asked(question, found.diagnoses, found.origin.pods)
    return report(found.diagnoses, found.origin, asked=asked, moments=question.moments)


def diagnosed(question: Question) -> Diagnosed:
    """Read the input and diagnose it, whoever may have been asked about."""
    catalogue = Catalogue.load(rule_files(question.rules))
    if question.bundle is None:
        return _explained(question, _listened(question, None, catalogue), None)
    with closing(open_bundle(question.bundle, now_s=question.now_s)) as bundle:
        return _explained(question, _listened(question, bundle, catalogue), bundle)


def _listened(question: Question, bundle: Bundle | None, catalogue: Catalogue) -> _Heard:
    heard = _Heard()
    if bundle:
        heard.listen(bundle.records(), catalogue)
        heard.facts += [*bundle.pod_facts, *bundle.node_facts]
        heard.blind += bundle.blind  # complete only now that the records were read
    if log := question.log:
        lines = log.text.split("\n")
        heard.listen(read_pasted(lines, log.name, now_s=log.now_s), catalogue)
    heard.blind = list(dict.fromkeys(heard.blind))
    return heard


def _explained(question: Question, heard: _Heard, bundle: Bundle | None) -> Diagnosed:
    found = _correlated(heard, bundle)
    origin = replace(_origin(question, bundle, heard), before_window=len(found.before_window))
    return Diagnosed(tuple(_on_node(_diagnoses(found, bundle), question.node, origin)), origin)


def rule_files(paths: Sequence[Path]) -> list[Path]:
    """Give the rule files of files and folders, in order of name."""
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UserError(f"{path}: no such file or folder", "--rules takes a folder of .toml")
        inside = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        if not inside:
            raise UserError(f"{path}: holds no rules", "rules are files that end in .toml")
        files += inside
    return files


def _correlated(heard: _Heard, bundle: Bundle | None) -> Correlation:
    if bundle is None:
        return correlate(heard.facts, Scope(blind=tuple(heard.blind), quoted=True))
    scope = Scope(
        node=bundle.node,
        pods=tuple(bundle.pods),
        window=bundle.window,
        blind=tuple(heard.blind),
        quoted=heard.quoted,
    )
    return correlate(heard.facts, scope)


def _diagnoses(found: Correlation, bundle: Bundle | None) -> list[Diagnosis]:
    if bundle is None:
        return [diagnose(incident) for incident in found.incidents]
    return [
        diagnose(incident, pods=bundle.pods, samples=bundle.samples, probes=bundle.probes)
        for incident in found.incidents
    ]


def _origin(question: Question, bundle: Bundle | None, heard: _Heard) -> Origin:
    names = [str(question.bundle)] if question.bundle else []
    names += [question.log.name] if question.log else []
    return Origin(
        name=" and ".join(names),
        node=bundle.node if bundle else "",
        window=bundle.window if bundle else (None, None),
        pods=tuple(bundle.pods) if bundle else (),
        blind=tuple(heard.blind),
        missing=tuple(bundle.missing) if bundle else (),
        quoted=question.log is not None or (bool(heard.facts) and heard.quoted),
        spoofed=heard.spoofed,
        samples=tuple(bundle.samples) if bundle else (),
        probes=tuple(bundle.probes) if bundle else (),
        paced=bundle.paced if bundle else (),
        command=_command(question),
    )


def _command(question: Question) -> str:
    """Return what to type to be answered the same."""
    words = ["knockon", "why"]
    if question.pod:
        words.append(f"{question.namespace}/{question.pod}" if question.namespace else question.pod)
    options: list[tuple[str, object]] = [
        ("--bundle", question.bundle),
        ("--log", question.log and question.log.name.replace("standard input", "-")),
        ("--node", question.node),
        *(("--rules", path) for path in question.rules),
        ("--now", question.now_s),
    ]
    for option, value in options:
        if value is not None and value != "":
            words += [option, str(value)]
    return shlex.join(words)


def _on_node(diagnoses: Sequence[Diagnosis], node: str, origin: Origin) -> list[Diagnosis]:
    """Keep one node's incidents; a node nobody has heard of is a mistake worth naming."""
    if not node:
        return list(diagnoses)
    known = {origin.node, *(pod.node for pod in origin.pods), *(d.incident.node for d in diagnoses)}
    if node not in known:
        near = difflib.get_close_matches(node, sorted(known - {""}), 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else "leave --node out to see every node"
        raise UserError(f"no node {node} in {origin.name}", hint)
    return [diagnosis for diagnosis in diagnoses if diagnosis.incident.node == node]


def _asked(question: Question, diagnoses: Sequence[Diagnosis], pods: Sequence[Pod]) -> Asked | None:
    if not question.pod:
        return None
    if any(concerns(diagnosis, question.namespace, question.pod) for diagnosis in diagnoses):
        return Asked(question.namespace, question.pod, found=True)
    known = {(pod.namespace, pod.name) for pod in pods}
    known |= {(v.namespace, v.pod) for diagnosis in diagnoses for v in diagnosis.victims}
    near = _close_names(question.namespace, question.pod, known)
    return Asked(question.namespace, question.pod, found=False, close_names=near)


def _close_names(namespace: str, pod: str, known: set[tuple[str, str]]) -> tuple[str, ...]:
    """Suggest pods of like name; none when this very pod is known and simply was not hurt."""
    if any(name == pod and namespace in ("", space) for space, name in known):
        return ()
    names = sorted({name for _, name in known})
    alike = [name for name in names if name == pod or name.startswith(f"{pod}-")]
    alike += [n for n in difflib.get_close_matches(pod, names, 3) if n not in alike]
    spaces = {name: sorted(space for space, other in known if other == name) for name in alike}
    return tuple(f"{space}/{name}" for name in alike for space in spaces[name])[:3]
