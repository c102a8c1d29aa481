"""The commands as a person types them, with a kubectl that writes down what it was asked."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from daemonset.generated import INSTALL
from tests.command import knockon
from tests.daemonset.manifest import EVERYTHING, ROOT, Thing

EXAMPLES = ROOT / "docs" / "examples"
SERVICE = ("-s", "name=kuku-web,internalPort=80,externalPort=80", "docs/examples/service")


def objects(text: str) -> list[Thing]:
    return list(yaml.safe_load_all(text))


def kubectl(folder: Path, status: int = 0) -> dict[str, str]:
    """An environment whose kubectl keeps its arguments and its input."""
    program = folder / "kubectl"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {folder}/args\ncat > {folder}/input\nexit {status}\n'
    )
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_render_prints_what_is_committed() -> None:
    done = knockon("render")
    assert (done.returncode, done.stderr) == (0, "")
    text = INSTALL.read_text("utf-8")
    assert done.stdout == text[text.index("---\n") :]


def test_render_says_what_it_could_not_check() -> None:
    done = knockon("render", "-f", EVERYTHING)
    assert done.returncode == 0
    assert done.stderr.startswith("knockon: not checked, its schema is the cluster's: PodMonitor")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-s", "agent.cpuReqest=1"), "unknown value agent.cpuReqest (did you mean cpuRequest?)"),
        (("-f", "nowhere.yaml"), "nowhere.yaml: No such file or directory (-f names a YAML file)"),
        (("nowhere",), "there is no nowhere (name a folder with templates, or one of them)"),
        (("--kubernetes", "1.2"), "no schemas of Kubernetes 1.2"),
        (("--bogus",), "unrecognized arguments: --bogus"),
        (("--", "--context", "x"), "render runs no kubectl"),
        (("--diff", "nowhere"), "nowhere: No such file or directory"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(words: tuple[str, ...], says: str) -> None:
    done = knockon("render", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"knockon: {says}")
    assert done.stderr.count("\n") == 1


def test_what_a_cluster_would_refuse_is_not_printed(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(
        "def template(context):\n"
        "    return {'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': 'x'}, 'spce': {}}\n"
    )
    done = knockon("render", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "x.py: Pod x (Kubernetes 1.30): object: Additional properties" in done.stderr
    assert knockon("render", "--no-check", tmp_path).returncode == 0


def test_diff_shows_what_a_value_changes_and_nothing_else(tmp_path: Path) -> None:
    before = tmp_path / "before.yaml"
    before.write_text(knockon("render").stdout, "utf-8")
    same = knockon("render", "--diff", before)
    assert (same.returncode, same.stdout) == (0, "")
    other = knockon("render", "-s", "agent.cpuRequest=30m", "--diff", before)
    assert other.returncode == 1
    changed = [line for line in other.stdout.splitlines() if re.match(r"[-+] ", line)]
    assert [line.strip("-+ ") for line in changed] == ["cpu: 15m", "cpu: 30m"]


def test_apply_hands_kubectl_the_checked_text(tmp_path: Path) -> None:
    done = knockon("apply", "--", "--context", "prod", env=kubectl(tmp_path))
    assert done.returncode == 0
    assert (tmp_path / "args").read_text() == "apply --context prod -f -\n"
    assert (tmp_path / "input").read_text("utf-8") == knockon("render").stdout


def test_apply_diff_changes_nothing(tmp_path: Path) -> None:
    done = knockon("apply", "--diff", env=kubectl(tmp_path, status=1))
    assert done.returncode == 1
    assert (tmp_path / "args").read_text() == "diff -f -\n"


def test_delete_goes_the_other_way_round(tmp_path: Path) -> None:
    assert knockon("delete", env=kubectl(tmp_path)).returncode == 0
    assert (tmp_path / "args").read_text() == "delete --ignore-not-found -f -\n"
    kinds = [one["kind"] for one in objects((tmp_path / "input").read_text("utf-8"))]
    assert kinds[0] == "DaemonSet"
    assert kinds[-1] == "Namespace"


def test_nothing_reaches_kubectl_when_the_values_are_wrong(tmp_path: Path) -> None:
    done = knockon("apply", "-s", "nmae=x", env=kubectl(tmp_path))
    assert done.returncode == 2
    assert not (tmp_path / "args").exists()


def test_without_kubectl_the_hint_is_a_pipe(tmp_path: Path) -> None:
    done = knockon("apply", env={"PATH": str(tmp_path)})
    assert done.returncode == 2
    assert "knockon render | kubectl apply -f -" in done.stderr


# -- the article's examples ------------------------------------------------------------------------


def test_every_command_of_the_examples_page_runs() -> None:
    page = (EXAMPLES / "README.md").read_text("utf-8")
    blocks = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert sum(line.startswith("$ knockon") for line in lines) >= 4
    for index, line in enumerate(lines):
        if line.startswith("$ knockon "):
            done = knockon(*shlex.split(line)[2:])
            following = lines[index + 1] if index + 1 < len(lines) else ""
            expected = following if following.startswith("knockon: ") else ""
            assert done.stderr.strip() == expected
            assert done.returncode == (2 if expected else 0)


def test_the_service_of_the_article() -> None:
    (service,) = objects(knockon("render", *SERVICE).stdout)
    assert service == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kuku-web"},
        "spec": {
            "ports": [{"port": 80, "targetPort": 80}],
            "selector": {"app": "kuku-web"},
            "type": "NodePort",
        },
    }


def test_the_postgres_of_the_article_and_its_production_values() -> None:
    here = objects(knockon("render", "docs/examples/postgres").stdout)
    assert sorted(one["kind"] for one in here) == ["ConfigMap", "Service", "StatefulSet"]
    production = EXAMPLES / "postgres" / "values-production.yaml"
    there = objects(
        knockon("render", "-f", production, "-s", "replicas=2", "docs/examples/postgres").stdout
    )
    spec = next(one for one in there if one["kind"] == "StatefulSet")["spec"]
    (inside,) = spec["template"]["spec"]["containers"]
    assert spec["replicas"] == 2
    assert spec["volumeClaimTemplates"][0]["spec"]["resources"]["requests"] == {"storage": "500Gi"}
    assert spec["template"]["spec"]["nodeSelector"] == {"pool": "databases"}
    assert inside["resources"]["requests"] == {"cpu": "8", "memory": "64Gi"}
    assert inside["livenessProbe"]["exec"]["command"][-1] == "pg_isready"
    assert {one["name"] for one in inside["volumeMounts"]} == {"data", "configuration"}


def test_kustomize_builds_the_base_and_a_patch_over_it(tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "kubectl"  # of the dev extra
    shutil.copytree(ROOT / "daemonset", tmp_path / "base", ignore=lambda _, names: [
        name for name in names if not name.endswith(".yaml")])  # fmt: skip
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    page = (ROOT / "docs" / "install.md").read_text("utf-8")
    found = re.search(r"```yaml\n# kustomization\.yaml\n(.*?)```", page, re.DOTALL)
    assert found
    text = re.sub(r"https://\S+", "../base", found[1])
    (overlay / "kustomization.yaml").write_text(text, "utf-8")
    done = subprocess.run(
        [program, "kustomize", overlay],
        env={**os.environ, "KUBECONFIG": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    made = next(one for one in objects(done.stdout) if one["kind"] == "DaemonSet")
    assert made["spec"]["template"]["spec"]["containers"][0]["image"].startswith("registry.example")
