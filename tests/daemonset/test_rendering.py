"""Rendering: what is committed is fresh, output is stable, and a broken template is one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import UserError
from daemonset.generated import INSTALL, REFERENCE, VALUES, files
from daemonset.render import Order, render
from daemonset.text import as_yaml, dump
from daemonset.values import read
from tests.daemonset.manifest import EVERYTHING, ROOT, rendered, things

AMBIGUOUS = ("1e3", "0o17", "0x1f", "1_000", "y", "N", "12:30", ".5", "=", "-.inf")
BREAKS = ("\x85", "a\u2028b", "a\r\nb", " a\n b\n\n", "\n", "- a\n# b\n")
texts = st.text() | st.sampled_from((*AMBIGUOUS, "~", "null", "on", "+1", *BREAKS))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("path", [INSTALL, REFERENCE], ids=lambda path: path.name)
def test_what_is_committed_is_fresh(path: Path) -> None:
    assert path.read_text("utf-8") == dict(files())[path], "run python -m daemonset"


def test_every_value_is_explained() -> None:
    def leaves(tree: dict[str, object], before: str = "") -> list[str]:
        found = []
        for key, value in tree.items():
            inner = isinstance(value, dict) and value and key != "dashboardLabels"
            found += leaves(value, f"{before}{key}.") if inner else [f"{before}{key}"]  # type: ignore[arg-type]
        return found

    page = REFERENCE.read_text("utf-8")
    assert [key for key in leaves(read(VALUES)) if f"| `{key}` |" not in page] == []


def test_install_yaml_is_the_objects_in_an_order_a_cluster_takes() -> None:
    found = list(yaml.safe_load_all(INSTALL.read_text("utf-8")))
    assert found == things()
    kinds = [one["kind"] for one in found]
    assert kinds[0] == "Namespace"
    assert kinds[-1] == "DaemonSet"
    assert kinds.index("ConfigMap") < kinds.index("DaemonSet")
    assert "CronJob" not in kinds


@pytest.mark.parametrize("seed", ["0", "1"])
def test_output_does_not_depend_on_hashes(seed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent", "render", "--no-check", "-f", EVERYTHING],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONUTF8": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout == as_yaml(rendered(everything=True))


def test_every_object_has_our_labels_and_no_status() -> None:
    for thing in things(everything=True):
        labels = thing["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "knockon"
        assert labels["team"] == "platform"
        assert "status" not in thing


@given(values)
def test_yaml_reads_back_as_it_was(value: object) -> None:
    assert yaml.safe_load(dump(value)) == value


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_what_parsers_disagree_on_is_quoted(text: str) -> None:
    assert dump({"a": text}) == f"a: '{text}'\n"


def test_documents_hold_no_anchors() -> None:
    same = {"a": "b"}
    assert "&" not in dump({"x": same, "y": same})


# -- other people's templates ----------------------------------------------------------------------


def folder(place: Path, body: str, values_text: str | None = None) -> Path:
    (place / "templates").mkdir()
    (place / "templates" / "thing.py").write_text(body, "utf-8")
    (place / "templates" / "helper.py").write_text("X = 1\n", "utf-8")
    if values_text is not None:
        (place / "values.yaml").write_text(values_text, "utf-8")
    return place


MAP = "{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': context['name']}}"


@pytest.mark.parametrize("inner", ["", "templates", "templates/thing.py"])
def test_a_path_may_be_the_folder_its_templates_or_one_file(tmp_path: Path, inner: str) -> None:
    body = f"def template(context):\n    return [{MAP}, None]\n"
    place = folder(tmp_path, body, "name: web\n")
    found = render(Order((place / inner,)))
    assert [one.thing["metadata"] for one in found] == [{"name": "web"}]


MODEL = """\
from kubernetes import client
def template(context):
    return client.V1ServicePort(port='http', prot=1)
"""


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("def template(context)\n", "thing.py, line 1: SyntaxError"),
        ("import nowhere_to_be_found\n", "thing.py, line 1: ModuleNotFoundError"),
        ("def template(context):\n    return 1 / 0\n", "thing.py, line 2: ZeroDivisionError"),
        ("def template(context):\n    return context.x\n", "thing.py, line 2: AttributeError"),
        ("def template(context):\n    return 'text'\n", "thing.py returned str"),
        ("def template(context):\n    return [{'a': {1, 2}}]\n", "thing.py"),
        ("def template(context):\n    return {'a': float('nan')}\n", "returned what no API takes"),
        ("def template(context):\n    return context['nmae']\n", "the value nmae is needed"),
        (
            MODEL,
            "thing.py, line 3: V1ServicePort.port: Input should be a valid integer",
        ),
    ],
)
def test_a_broken_template_is_one_line_with_its_place(tmp_path: Path, body: str, says: str) -> None:
    place = folder(tmp_path, body, "name: web\n")
    with pytest.raises(UserError) as caught:
        render(Order((place,)))
    assert says in caught.value.message
    assert "\n" not in caught.value.message


def test_a_folder_without_templates_is_the_users_mistake(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError):
            render(Order((path,)))


def test_without_defaults_a_value_that_nobody_reads_is_misspelt(tmp_path: Path) -> None:
    place = folder(tmp_path, f"def template(context):\n    return {MAP}\n")
    assert render(Order((place,), (), ("name=web",)))
    with pytest.raises(UserError, match="no template asks for the value nam") as caught:
        render(Order((place,), (), ("name=web,nam=x",)))
    assert caught.value.hint == "did you mean name?"
