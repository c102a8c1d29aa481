"""Every scenario by its name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.reliability.cluster import CLUSTER
from tests.reliability.disks import DISKS
from tests.reliability.kills import KILLS
from tests.reliability.recorded import RECORDINGS
from tests.reliability.scenario import Scenario

SCENARIOS: Mapping[str, Scenario] = {
    **KILLS,
    **DISKS,
    **RECORDINGS,
    **CLUSTER,
}
