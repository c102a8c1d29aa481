"""Who we are at the API server: tokens that are renewed, certificates, and what is refused."""

from __future__ import annotations

import base64
import json
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.errors import UserError
from agent.kube.access import Access, Pem, in_cluster, kubeconfig
from agent.kube.answers import Call, Refusal, Trouble
from agent.kube.http import Api
from agent.kube.tls import tls_context
from tests.fake_api import FakeApi
from tests.fake_certs import HAS_OPENSSL, Certs, make_certs
from tests.fake_faults import Fault, Wrong
from tests.fake_pods import pod
from tests.kube_agent import Agent, Waits

needs_openssl = pytest.mark.skipif(not HAS_OPENSSL, reason="openssl is not installed")
PODS = Call("list", "pods", "/api/v1/pods")
HERE = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certs:
    return make_certs(tmp_path_factory.mktemp("certs"))


@pytest.fixture
def tls_api(certs: Certs) -> Iterator[FakeApi]:
    with FakeApi(certs) as server:
        yield server


def asked(access: Access) -> Trouble | None:
    """What becomes of one list: nothing bad, or a trouble."""
    with closing(Api(access)) as api:
        answer = api.request(PODS, 5.0)
    return answer.trouble if isinstance(answer, Refusal) else None


def service_account(folder: Path, certs: Certs | None, token: str) -> Path:
    """Files as the kubelet projects them into a pod."""
    (folder / "token").write_text(f"{token}\n", "utf-8")
    (folder / "namespace").write_text("knockon", "utf-8")
    (folder / "ca.crt").write_bytes(certs.authority.read_bytes() if certs else b"")
    return folder


def config(**changes: Any) -> dict[str, Any]:
    """A kubeconfig of one cluster; changes go to its user, or with ``cluster_`` to its cluster."""
    cluster = {"server": "https://10.0.0.1:6443"}
    user: dict[str, Any] = {"token": "t"}
    for key, value in changes.items():
        where = cluster if key.startswith("cluster_") else user
        where[key.removeprefix("cluster_").replace("_", "-")] = value
    return {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "n"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }


def written(folder: Path, content: object) -> Path:
    path = folder / "config"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


# -- in the cluster -------------------------------------------------------------------------------


def test_a_pod_knows_its_server_from_its_surroundings(tmp_path: Path) -> None:
    folder = service_account(tmp_path, None, "secret")
    access = in_cluster(HERE | {"KUBERNETES_SERVICE_HOST": "fd00::1"}, folder)
    assert (access.host, access.port, access.namespace) == ("fd00::1", 443, "knockon")
    assert access.bearer() == "secret"
    assert "secret" not in repr(access)


@pytest.mark.parametrize(
    ("environ", "lost", "says"),
    [
        ({}, "", "does not run in a Kubernetes pod"),
        (HERE | {"KUBERNETES_SERVICE_PORT": "https"}, "", "no port"),
        (HERE, "token", "token"),
        (HERE, "ca.crt", "ca.crt"),
    ],
)
def test_what_a_pod_lacks_is_said(
    tmp_path: Path, environ: dict[str, str], lost: str, says: str
) -> None:
    folder = service_account(tmp_path, None, "t")
    if lost:
        (folder / lost).unlink()
    with pytest.raises(UserError, match=says):
        in_cluster(environ, folder)


@needs_openssl
def test_a_renewed_token_is_read_again_after_a_401(
    tls_api: FakeApi, certs: Certs, tmp_path: Path, waits: Waits
) -> None:
    folder = service_account(tmp_path, certs, "old")
    here = HERE | {"KUBERNETES_SERVICE_PORT": str(tls_api.port)}
    tls_api.tokens = {"new"}
    tls_api.store.put("pods", pod("one"))
    renewal = waits.clock.now_s() + 100
    waits.then.append((renewal, lambda: (folder / "token").write_text("new", "utf-8")))
    with closing(Agent(tls_api, waits, access=in_cluster(here, folder))) as agent:
        agent.until("one")
    assert agent.tuning.counts["unauthorized"] >= 3
    assert waits.clock.now_s() - renewal <= 90


@needs_openssl
def test_a_token_that_expires_within_a_watch_costs_nothing(
    tls_api: FakeApi, certs: Certs, tmp_path: Path, waits: Waits
) -> None:
    folder = service_account(tmp_path, certs, "old")
    here = HERE | {"KUBERNETES_SERVICE_PORT": str(tls_api.port)}
    tls_api.tokens = {"old"}
    tls_api.store.put("pods", pod("one"))
    tls_api.faults.add(Fault(Wrong.RESET, "watch"))
    with closing(Agent(tls_api, waits, access=in_cluster(here, folder))) as agent:
        agent.until("one")
        tls_api.tokens = {"new"}
        (folder / "token").write_text("new", "utf-8")
        tls_api.store.put("pods", pod("two"))
        agent.until("two")
    assert tls_api.counts["list", "pods"] == 1


# -- TLS ------------------------------------------------------------------------------------------


@needs_openssl
def test_a_client_certificate_opens_the_door(tls_api: FakeApi, certs: Certs) -> None:
    tls_api.tokens = {"only-this"}
    assert asked(tls_api.access()) is Trouble.UNAUTHORIZED
    assert asked(tls_api.access("only-this")) is None
    assert asked(tls_api.access(with_certificate=True)) is None
    inline = replace(
        tls_api.access(),
        certificate=Pem(data=certs.client.certificate.read_bytes()),
        key=Pem(data=certs.client.key.read_bytes()),
    )
    assert asked(inline) is None


@needs_openssl
def test_a_server_nobody_vouches_for_is_not_trusted(tls_api: FakeApi) -> None:
    tls_api.tokens = {"t"}
    stranger = replace(tls_api.access("t"), authority=None)
    assert asked(stranger) is Trouble.UNREACHABLE
    assert asked(replace(stranger, insecure=True)) is None
    assert asked(replace(tls_api.access("t"), host="localhost")) is None
    assert asked(replace(tls_api.access("t"), server_name="other.example")) is Trouble.UNREACHABLE
    assert len(tls_api.seen) == 2, "no token was shown to a stranger"


def test_no_token_travels_in_the_clear() -> None:
    assert Access("h", 80, tls=False, token="t").bearer() == ""
    assert Access("h", 443, token="t").bearer() == "t"


@needs_openssl
def test_plain_http_from_a_tls_port_is_a_refusal(tls_api: FakeApi) -> None:
    assert asked(replace(tls_api.access(), tls=False)) in (Trouble.TORN, Trouble.UNREACHABLE)


@pytest.mark.parametrize("broken", [b"", b"-----BEGIN CERTIFICATE-----\nxx\n"])
def test_a_broken_certificate_is_an_error_of_the_system(broken: bytes) -> None:
    with pytest.raises((OSError, ssl.SSLError)):
        tls_context(Access("h", 443, authority=Pem(data=b"x"), certificate=Pem(data=broken)))
    missing = Access("127.0.0.1", 1, authority=Pem(Path("/nonexistent")))
    assert asked(missing) is Trouble.UNREACHABLE


def test_an_answer_has_a_deadline_that_drops_do_not_move(api: FakeApi) -> None:
    api.faults.add(Fault(Wrong.DRIP, "list"))
    began_s = time.monotonic()
    with closing(Api(api.access())) as client:
        answer = client.request(PODS, 0.3)
    assert isinstance(answer, Refusal)
    assert answer.trouble is Trouble.TIMEOUT
    assert time.monotonic() - began_s < 5


def test_a_connection_is_kept_and_opened_anew_when_the_server_closed_it(api: FakeApi) -> None:
    with closing(Api(api.access())) as client:
        for _ in range(3):
            assert not isinstance(client.request(PODS), Refusal)
        assert api.connections == 1
        api.refuse()
        api.accept()
        assert not isinstance(client.request(PODS), Refusal)
        assert api.connections == 2
        api.refuse()
        answer = client.request(PODS)
    assert isinstance(answer, Refusal)
    assert answer.trouble is Trouble.UNREACHABLE


# -- kubeconfig -----------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [json.dumps, yaml.safe_dump])
def test_a_kubeconfig_is_read_as_json_and_as_yaml(tmp_path: Path, write: Any) -> None:
    (tmp_path / "token").write_text("from a file\n", "utf-8")
    content = config(tokenFile="token", cluster_certificate_authority="ca.crt")
    del content["users"][0]["user"]["token"]
    content["clusters"][0]["cluster"]["server"] = "https://rancher.example/k8s/clusters/c-1/"
    access = kubeconfig(written(tmp_path, write(content)))
    assert (access.host, access.port, access.tls) == ("rancher.example", 443, True)
    assert (access.prefix, access.namespace) == ("/k8s/clusters/c-1", "n")
    assert access.bearer() == "from a file"
    assert access.authority == Pem(tmp_path / "ca.crt")


@needs_openssl
def test_a_kubeconfig_with_everything_inline_gets_in(
    tls_api: FakeApi, certs: Certs, tmp_path: Path
) -> None:
    tls_api.tokens = set()

    def inline(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    content = config(
        client_certificate_data=inline(certs.client.certificate),
        client_key_data=inline(certs.client.key),
        cluster_certificate_authority_data=inline(certs.authority),
        cluster_server=tls_api.url,
    )
    assert asked(kubeconfig(written(tmp_path, content))) is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "neither JSON nor YAML"),
        ("[]", "no kubeconfig"),
        ("just words", "no kubeconfig"),
        (config() | {"current-context": ""}, "no current context"),
        (config() | {"current-context": "there"}, "no context 'there'"),
        (config() | {"clusters": []}, "no cluster 'c'"),
        (config() | {"users": [7]}, "no user 'u'"),
        (config(exec={"command": "aws"}), "runs a program"),
        (config(username="admin", password="x"), "password"),
        (config(cluster_proxy_url="http://p"), "proxy"),
        (config(cluster_insecure_skip_tls_verify=True), "not to verify"),
        (config(cluster_server="10.0.0.1"), "must be https"),
        (config(cluster_server="https://h:port"), "no address"),
        (config(client_key_data="%%%"), "not base64"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_says_why(
    tmp_path: Path, content: object, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        kubeconfig(written(tmp_path, content))


def test_an_unproven_server_is_taken_when_that_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, config(cluster_insecure_skip_tls_verify=True))
    assert kubeconfig(path, insecure=True).insecure


def test_a_kubeconfig_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        kubeconfig(tmp_path / "none")


def test_yaml_without_a_reader_for_it_tells_how_to_get_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(UserError) as refused:
        kubeconfig(written(tmp_path, yaml.safe_dump(config())))
    assert "-o json" in refused.value.hint
