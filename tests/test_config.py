"""The agent's settings: every default in one file, and every mistake said at once."""

from __future__ import annotations

import subprocess
import tomllib
from dataclasses import asdict, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.daemon.config import SECTIONS, Config
from agent.daemon.config_file import ConfigFaults, address, load_config, parse
from agent.errors import UserError
from tests.command import knockon
from tests.conftest import ROOT

SHIPPED = ROOT / "daemonset" / "config.toml"


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def test_the_shipped_file_says_every_default() -> None:
    assert tomllib.loads(SHIPPED.read_text("utf-8")) == asdict(Config())
    assert load_config(SHIPPED) == Config()


def test_every_default_lies_in_its_range() -> None:
    for section in SECTIONS.values():
        for one in fields(section):
            rule, value = one.metadata["rule"], getattr(section, one.name)
            if rule.choice:
                assert value in rule.choice
            if rule.least is not None:
                assert rule.least <= value <= rule.most


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    text = """
[jurnal]
[node]
nmae = "n1"
[incidents]
settle_s = 0.1
keep = "many"
[kube]
events = "on_demand"
publish = 1
[http]
listen = "9479"
"""
    with pytest.raises(ConfigFaults) as caught:
        load_config(written(tmp_path, text))
    said = "\n".join(caught.value.faults)
    assert "unknown section [jurnal]: did you mean journal?" in said
    assert "unknown setting node.nmae: did you mean name?" in said
    assert "incidents.settle_s must lie between 1 and 3600, not 0.1" in said
    assert "incidents.keep must be a whole number, not 'many'" in said
    assert "did you mean on-demand?" in said
    assert "kube.publish must be true or false, not 1" in said
    assert len(caught.value.faults) == 6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[http]\nlisten = "9479"', "http.listen must be HOST:PORT"),
        ('[http]\nlisten = "0.0.0.0:70000"', "http.listen must be HOST:PORT"),
        ('[http]\ntls_key = "k"', "go together"),
        ('[http]\nclient_authority = "a"', "needs http.tls_certificate"),
        ('[kube]\naccess = "kubeconfig"', "names no file"),
        ('[kube]\nkubeconfig = "f"', 'kube.access is "in-cluster"'),
        ('[probe]\ncri = "s"\n[recorder]\nenabled = false', "needs the recorder"),
        ("node = 3", "must be a section"),
        ("[node", "not TOML"),
    ],
)
def test_what_does_not_go_together_is_said(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigFaults) as caught:
        load_config(written(tmp_path, text))
    assert any(words in fault for fault in caught.value.faults)


def test_a_whole_number_will_do_for_seconds(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, "[incidents]\nsettle_s = 60")).incidents.settle_s == 60.0


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        load_config(tmp_path / "nothing.toml")


@pytest.mark.parametrize(
    ("listen", "found"),
    [
        ("0.0.0.0:9479", ("0.0.0.0", 9479)),
        ("[::]:1", ("::", 1)),
        ("::1:80", None),
        ("host", None),
        (":80", None),
        ("h:x", None),
    ],
)
def test_an_address(listen: str, found: tuple[str, int] | None) -> None:
    assert address(listen) == found


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(sorted(SECTIONS)) | st.text(max_size=5),
        st.dictionaries(st.sampled_from(["name", "settle_s", "listen", "keep", "x"]), _VALUES)
        | _VALUES,
    )
)
def test_whatever_is_written_is_a_config_or_a_fault(table: dict[str, object]) -> None:
    config, faults = parse(table)
    assert isinstance(config, Config)
    assert faults == list(map(str, faults))


def test_check_config_says_each_on_a_line(tmp_path: Path) -> None:
    done = _checked(SHIPPED)
    assert (done.returncode, done.stderr) == (0, "")
    done = _checked(written(tmp_path, "[nod]\n[http]\nport = 1"))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 2
    assert "did you mean node?" in done.stderr


def test_the_agent_refuses_a_bad_file(tmp_path: Path) -> None:
    done = knockon("agent", "--config", written(tmp_path, "[nod]"))
    assert done.returncode == 2
    assert "did you mean node?" in done.stderr


def _checked(path: Path) -> subprocess.CompletedProcess[str]:
    return knockon("check-config", path)
