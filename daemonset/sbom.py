"""``python -m daemonset.sbom``: what is inside this image, as CycloneDX 1.5; run where it is built.

Python distributions are asked of the interpreter that runs this, Debian packages of dpkg. The
same contents give the same bytes.
"""

from __future__ import annotations

import json
import subprocess  # noqa: TID251 - while an image is built
import sys
import uuid
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, distributions
from urllib.parse import quote

from agent import __version__

Component = dict[str, object]
_COLUMNS = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n"
_ASK_DPKG = ("dpkg-query", "-W", "-f", _COLUMNS)
_SPACE = uuid.UUID("6b1f4f5e-0d0e-5c53-9b0a-6f2f8b0b7c11")


def sbom(components: Sequence[Component]) -> dict[str, object]:
    """Return the document: its serial number is made of what it lists."""
    listed = sorted(components, key=lambda one: str(one["purl"]))
    serial = uuid.uuid5(_SPACE, json.dumps(listed, sort_keys=True))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": "knockon", "version": __version__}},
        "components": listed,
    }


def python_packages(found: Iterable[Distribution]) -> list[Component]:
    """Return the distributions of an environment, each once."""
    made: dict[str, Component] = {}
    for one in found:
        name = one.metadata["Name"].lower().replace("_", "-")
        purl = f"pkg:pypi/{quote(name)}@{quote(one.version)}"
        part = {"type": "library", "bom-ref": purl, "name": name, "version": one.version}
        licence = one.metadata.json.get("license_expression", "")
        says: Component = {"licenses": [{"expression": licence}]} if licence else {}
        made[purl] = {**part, **says, "purl": purl}
    return list(made.values())


def debian_packages(told: str) -> list[Component]:
    """Return the packages that dpkg-query listed as installed."""
    made: list[Component] = []
    for line in told.splitlines():
        state, name, version, machine = line.split("\t")
        if state.startswith("ii"):
            purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={machine}"
            part = {"type": "library", "bom-ref": purl, "name": name, "version": version}
            made.append({**part, "purl": purl})
    return made


def main() -> int:
    """Print it."""
    told = subprocess.run(_ASK_DPKG, capture_output=True, text=True, check=True)  # noqa: S603
    components = [*python_packages(distributions()), *debian_packages(told.stdout)]
    json.dump(sbom(components), sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
