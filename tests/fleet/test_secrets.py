"""A token never reaches a log, a page or an argument, whatever the API server says."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.agents import ROOT
from tests.fake_api import FakeApi
from tests.fake_certs import HAS_OPENSSL, make_certs

TOKEN = "eyJhbGciOi-this-is-nobody-elses"
pytestmark = pytest.mark.skipif(not HAS_OPENSSL, reason="there is no openssl")


def kubeconfig(folder: Path, api: FakeApi, authority: Path) -> Path:
    path = folder / "kubeconfig.json"
    cluster = {"server": api.url, "certificate-authority": str(authority)}
    document = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("cluster", [True, False], ids=["replica", "agent"])
@pytest.mark.parametrize("known", [True, False], ids=["let in", "turned away"])
def test_the_token_is_in_no_line_and_no_argument(
    cluster: bool, known: bool, tmp_path: Path
) -> None:
    certs = make_certs(tmp_path)
    with FakeApi(certs) as api:
        api.tokens = {TOKEN} if known else {"another"}
        api.forbidden |= {("list", "pods"), ("watch", "events"), ("update", "leases")}
        config = tmp_path / "config.toml"
        config.write_text(
            '[kube]\naccess = "kubeconfig"\nevents = "watch"\n'
            f'kubeconfig = "{kubeconfig(tmp_path, api, certs.authority)}"\n'
            f'[state]\ndirectory = "{tmp_path / "state"}"\n'
            f'[journal]\ndirectory = "{tmp_path}"\n[recorder]\nenabled = false\n'
            '[cluster]\nlease_s = 2.0\n[http]\nlisten = ""\n[log]\nform = "json"\n'
        )
        words = [sys.executable, "-m", "agent", "agent", "--config", str(config)]
        words += ["--cluster"] if cluster else []
        running = subprocess.Popen(
            words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        deadline_s = time.monotonic() + 60
        while len(api.seen) < (3 if known else 1):  # it has asked, and been answered
            assert time.monotonic() < deadline_s, api.seen
            time.sleep(0.1)
        time.sleep(2.0)
        arguments = Path(f"/proc/{running.pid}/cmdline")
        shown = arguments.read_text() if arguments.exists() else ""
        running.terminate()
        said, _ = running.communicate(timeout=20)
    assert said.strip()
    assert TOKEN not in said
    assert TOKEN not in shown
