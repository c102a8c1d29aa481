"""Mistakes, rights and logins of whoever asks: one clear line each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cluster.behind import POD, asked, events_of
from tests.command import is_one_line
from tests.fake_api import FakeApi


def test_a_pod_nobody_has_heard_of(api: FakeApi, tmp_path: Path) -> None:
    done = asked(api, tmp_path, "why", "prod/pg-1")
    assert done.returncode == 2
    assert is_one_line(done.stderr)
    assert (
        "there is no pod prod/pg-1, and no Event tells of one (did you mean pg-0?)" in done.stderr
    )


def test_who_may_see_nothing_is_told_which_rights_are_missing(api: FakeApi, tmp_path: Path) -> None:
    api.forbidden |= {("get", "pods"), ("list", "events")}
    done = asked(api, tmp_path, *POD)
    assert done.returncode == 2
    assert is_one_line(done.stderr)
    assert "you may not get pods in namespace prod; you may not list events" in done.stderr
    assert "readers.enabled makes the roles" in done.stderr


@pytest.mark.usefixtures("agent")
def test_who_may_not_see_the_pod_is_helped_by_its_events(api: FakeApi, tmp_path: Path) -> None:
    events_of(api)
    api.forbidden.add(("get", "pods"))
    done = asked(api, tmp_path, *POD)
    assert (done.returncode, done.stderr) == (0, "")
    assert "io full 93 %" in done.stdout
    assert "You may not get pods in namespace prod" in done.stdout


def test_an_unknown_user(api: FakeApi, tmp_path: Path) -> None:
    api.tokens = {"secret"}
    done = asked(api, tmp_path, *POD)
    assert done.returncode == 2
    assert is_one_line(done.stderr)
    assert "does not know you (401)" in done.stderr


def test_no_api_server(api: FakeApi, tmp_path: Path) -> None:
    api.refuse()
    done = asked(api, tmp_path, *POD)
    assert done.returncode == 2
    assert is_one_line(done.stderr)
    assert f"the API server {api.url} cannot be asked: connection refused" in done.stderr


@pytest.mark.parametrize(
    ("words", "env", "says"),
    [
        ((), {"KUBECONFIG": "/nowhere"}, "the kubeconfig cannot be used: "),
        (("--kubeconfig", "/nowhere"), {}, "/nowhere: no such file"),
        (("--context", "other"), {}, "other"),
        (("--timeout", "soon"), {}, "'soon' is no time to wait; write 5 or 30"),
        (("--rules", "/x"), {}, "--rules and --now go with --bundle or --log"),
    ],
)
def test_a_mistake_is_one_line(
    words: tuple[str, ...], env: dict[str, str], says: str, api: FakeApi, tmp_path: Path
) -> None:
    done = asked(api, tmp_path, *POD, *words, env=env)
    assert done.returncode == 2
    assert is_one_line(done.stderr)
    assert says in done.stderr


def test_a_login_that_fails_is_one_line(api: FakeApi, tmp_path: Path) -> None:
    path = tmp_path / "exec.json"
    command = {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/false"}
    command["interactiveMode"] = "Never"
    path.write_text(
        json.dumps(
            {
                "clusters": [{"name": "c", "cluster": {"server": api.url}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "users": [{"name": "u", "user": {"exec": command}}],
                "current-context": "x",
            }
        )
    )
    done = asked(api, tmp_path, *POD, "--kubeconfig", str(path))
    assert done.returncode == 2
    assert is_one_line(done.stderr)
    assert "logging in failed: " in done.stderr


def test_without_the_official_client_it_says_what_to_install(api: FakeApi, tmp_path: Path) -> None:
    missing = tmp_path / "path" / "kubernetes"
    missing.mkdir(parents=True)
    (missing / "__init__.py").write_text("raise ModuleNotFoundError(name='kubernetes')\n")
    done = asked(api, tmp_path, *POD, env={"PYTHONPATH": str(missing.parent)})
    assert done.returncode == 2
    said = "asking a cluster needs kubernetes (pip install 'knockon[k8s]')"
    assert done.stderr == f"knockon: {said}\n"
