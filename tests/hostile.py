"""Text written to deceive, put wherever a stranger may write."""

from __future__ import annotations

from dataclasses import replace

from agent.model import BlindSpot, Diagnosis, Evidence, Hypothesis, Kind, Link, Trust
from agent.report.view import Asked, Origin, Report, report
from tests.full_node import an_hour, probes
from tests.handmade import fact as made
from tests.handmade import founding
from tests.handmade import origin as known_origin

TEXTS = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=document.title='owned'>",
    "\"><svg onload=alert(1)>' onfocus='alert(1)' x=\"",
    "javascript:alert(1) data:text/html,<b>1</b>",
    "</title></style><style>*{display:none}</style>",
    "<!-- --> ]]> <![CDATA[ &lt;b&gt; &#60;b&#62; {{7*7}} ${7*7}",
    "\u202egnp.exe\u2066 \x00 \x1b[2J \u2028 \u2029 \ud800 \ufeff \U000e0041",
    "[click](javascript:alert(1)) ![x](http://evil.example/x.png) <http://evil.example>",
    "@everyone #7 https://evil.example www.evil.example `tick` ``` | a | b |",
)


def hostile_diagnosis(text: str) -> Diagnosis:
    """Return a diagnosis in which every text is this one."""
    diagnosis = founding(verdict=text)
    assert diagnosis.killer
    assert diagnosis.offender
    said = made(Kind.CORE_DUMP, 9.0, text, source=text, trust=Trust.QUOTED)
    said = replace(said, subject=replace(said.subject, name=text, namespace=text), where=text)
    proof = Evidence(0.5, text, (said,))
    facts = (*diagnosis.incident.facts, said)
    spots = (BlindSpot(text, text, 1.0, 2.0),)
    return replace(
        diagnosis,
        incident=replace(diagnosis.incident, id=text, node=text, facts=facts, blind=spots),
        chain=(*diagnosis.chain, Link(diagnosis.chain[0].at_s, text, text)),
        killer=replace(diagnosis.killer, name=text),
        offender=replace(diagnosis.offender, kind=text, name=text, namespace=text, method=text),
        victims=tuple(
            replace(victim, namespace=text, pod=text, owner=f"{text}/{text}", harm=text)
            for victim in diagnosis.victims
        ),
        hypotheses=(
            replace(diagnosis.hypotheses[0], evidence_for=(proof,), evidence_against=(proof,)),
            Hypothesis(diagnosis.hypotheses[1].cause, 0.2, (proof,), (proof,), (text,), text),
        ),
        missing=(text,),
        advice=(text,),
    )


def hostile_report(text: str, *, found: bool = True) -> Report:
    """Return a report in which every text is this one."""
    diagnosis = hostile_diagnosis(text)
    return report([diagnosis, diagnosis], _origin(text), asked=_asked(text, found))


def _asked(text: str, found: bool) -> Asked:
    return Asked(text, text, found=found, close_names=(text,))


def _origin(text: str) -> Origin:
    samples = tuple(
        replace(
            sample,
            disks=tuple(replace(disk, name=text) for disk in sample.disks),
            cgroups=tuple(
                replace(group, owner=replace(group.owner, name=text, namespace=text))
                for group in sample.cgroups
            ),
        )
        for sample in an_hour(seconds=30, pods=3)
    )
    moved = tuple(replace(sample, at_s=sample.at_s + 44 * 60) for sample in samples)
    return replace(
        known_origin(text, missing=(text,)),
        node=text,
        blind=(BlindSpot(text, text),),
        samples=moved,
        probes=probes(30),
        command=text,
    )
