"""Tables of events and what ``kubectl describe`` says, as they look after a ticket had them."""

from __future__ import annotations

import pytest

from tests.pasting import NOW_S, paste, utc

TABLES = {
    "get events": (
        "LAST SEEN   TYPE      REASON         OBJECT        MESSAGE\n"
        "25m         Warning   BackOff        pod/web-1     Back-off restarting failed container\n"
    ),
    "squeezed": (
        "LAST SEEN TYPE REASON OBJECT MESSAGE\n"
        "25m Warning BackOff pod/web-1 Back-off restarting failed container\n"
    ),
    "all namespaces": (
        "NAMESPACE   LAST SEEN   TYPE      REASON    OBJECT      MESSAGE\n"
        "shop        25m         Warning   BackOff   pod/web-1   "
        "Back-off restarting failed container\n"
    ),
    "headless": "25m  Warning  BackOff  pod/web-1  Back-off restarting failed container\n",
    "wide": (
        "LAST SEEN   TYPE   REASON   OBJECT   SUBOBJECT   SOURCE   MESSAGE   "
        "FIRST SEEN   COUNT   NAME\n"
        "25m   Warning   BackOff   pod/web-1   spec.containers{web}   kubelet, host-a   "
        "Back-off restarting failed container   46m   3   web-1.17a\n"
    ),
    "old": (
        "LASTSEEN   FIRSTSEEN   COUNT     NAME      KIND      SUBOBJECT   TYPE      REASON    "
        "SOURCE            MESSAGE\n"
        "25m        46m         3         web-1.15a Pod                   Warning   BackOff   "
        "kubelet, host-a   Back-off restarting failed container\n"
    ),
    "describe": (
        "Name:         web-1\nNamespace:    shop\nNode:         host-a/10.0.0.1\nEvents:\n"
        "  Type     Reason   Age                From             Message\n"
        "  ----     ------   ----               ----             -------\n"
        "  Warning  BackOff  25m (x3 over 46m)  kubelet, host-a  Back-off restarting\n"
        "           failed container\n"
    ),
    "old describe": (
        "Name:\tweb-1\nNode:\thost-a/10.0.0.1\nEvents:\n"
        "  FirstSeen\tLastSeen\tCount\tFrom\t\tSubObjectPath\t\tType\tReason\tMessage\n"
        "  ---------\t--------\t-----\t----\t\t-------------\t\t--------\t------\t-------\n"
        "  46m\t\t25m\t\t3\tkubelet, host-a\tspec.containers{web}\tWarning\tBackOff\t"
        "Back-off restarting failed container\n"
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_events(name: str) -> None:
    (record,) = paste(TABLES[name])
    assert record.source == "events"
    assert record.at_s == NOW_S - 25 * 60
    assert record.message == "Back-off restarting failed container"
    assert record.fields["TIME"] == "relative"
    assert record.fields["EVENT_REASON"] == "BackOff"
    assert (record.fields["OBJECT_KIND"], record.fields["OBJECT_NAME"]) == ("Pod", "web-1")
    if name in ("wide", "old", "describe", "old describe"):
        assert (record.count, record.since_s) == (3, NOW_S - 46 * 60)
        assert record.fields["NODE"] == "host-a"
    if name in ("describe", "all namespaces"):
        assert record.fields["OBJECT_NAMESPACE"] == "shop"


def test_describe_tells_how_a_container_ended() -> None:
    text = (
        "Name:         web-1\nNamespace:    shop\nNode:         host-a/10.0.0.1\nContainers:\n"
        "  web:\n    State:          Running\n      Started:      Sun, 15 Dec 2019 23:40:29 +0000\n"
        "    Last State:     Terminated\n      Reason:       OOMKilled\n      Exit Code:    137\n"
        "      Finished:     Sun, 15 Dec 2019 23:40:19 +0000\n    Ready:          True\n"
    )
    (record,) = paste(text)
    assert utc(record) == "2019-12-15T23:40:19"
    assert record.fields["EVENT_REASON"] == "OOMKilled"
    assert record.fields["EXIT_STATUS"] == "137"
    assert record.fields["OBJECT_NAME"] == "web-1"


def test_describe_tells_a_bad_condition() -> None:
    text = (
        "Name:               host-a\nRoles:              <none>\nConditions:\n"
        "  Type   Status   LastHeartbeatTime   LastTransitionTime   Reason   Message\n"
        "  DiskPressure   True   Tue, 10 Sep 2019 11:13:01 +0000   Tue, 10 Sep 2019 11:12:01 +0000"
        "   KubeletHasDiskPressure   kubelet has disk pressure\n"
        "  Ready   True   Tue, 10 Sep 2019 11:13:01 +0000   Tue, 10 Sep 2019 11:12:01 +0000"
        "   KubeletReady   kubelet is posting ready status\n"
    )
    (record,) = paste(text)
    assert record.fields["CONDITION"] == "DiskPressure=True"
    assert utc(record) == "2019-09-10T11:12:01"
