"""Values merge as helm merges them, and nothing misspelt gets through."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import UserError
from daemonset.assignments import assigned, parse
from daemonset.context import Context, MissingValue
from daemonset.values import conform, merge, read, resolve

DEFAULTS: dict[str, Any] = {
    "name": "web",
    "tag": "",
    "port": 80,
    "on": False,
    "zones": ["a"],
    "image": {"repository": "web", "pull": {"secret": ""}},
    "anything": {},
    "whatever": None,
}
names = st.text("abcxyz", min_size=1, max_size=2)
scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab1.,={}[]\\", max_size=4)
trees = st.recursive(
    st.dictionaries(names, scalars, max_size=3),
    lambda inner: st.dictionaries(names, scalars | inner | st.lists(scalars, max_size=2)),
    max_leaves=8,
)


def without_nulls(tree: object) -> object:
    if isinstance(tree, dict):
        return {key: without_nulls(one) for key, one in tree.items() if one is not None}
    return tree


@given(trees)
def test_merging_nothing_changes_nothing(tree: dict[str, object]) -> None:
    assert merge(tree, {}) == tree
    assert merge({}, tree) == tree


@given(trees)
def test_merging_twice_is_merging_once(tree: dict[str, object]) -> None:
    tree = without_nulls(tree)  # type: ignore[assignment]
    assert merge(tree, tree) == tree


@given(trees, trees)
def test_the_last_one_wins_and_neither_is_changed(
    base: dict[str, object], over: dict[str, object]
) -> None:
    before = copy.deepcopy((base, over))
    merged = merge(base, over)
    assert (base, over) == before
    assert isinstance(merged, dict)
    assert set(merged) <= set(base) | set(over)
    for key, value in over.items():
        if not isinstance(value, dict) and value is not None:
            assert merged[key] == value
    for key in base.keys() - over.keys():
        assert merged[key] == base[key]


@given(st.lists(names, min_size=1, max_size=4), st.text("ab .,=\\{}", max_size=8))
def test_what_is_escaped_arrives_as_it_was(path: list[str], text: str) -> None:
    escaped = "".join(f"\\{char}" if char in "\\,={}." else char for char in text)
    key, value = next(iter(parse(f"{'.'.join(path)}={escaped}")))
    found: Any = assigned({}, key, value)
    for name in path:
        found = found[name]
    assert found == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", {"a": 1}),
        ("a=true,b=false", {"a": True, "b": False}),
        ("a=1.10", {"a": "1.10"}),
        ("a=007", {"a": "007"}),
        ("a=0", {"a": 0}),
        ("a=-5", {"a": -5}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("a.b.c=x", {"a": {"b": {"c": "x"}}}),
        ("a={x,1,}", {"a": ["x", 1, ""]}),
        ("a={}", {"a": []}),
        ("a[1].b=x", {"a": [None, {"b": "x"}]}),
        ("a[0][1]=x", {"a": [[None, "x"]]}),
        (r"a.b\.c/d=x", {"a": {"b.c/d": "x"}}),
        (r"a=one\,two", {"a": "one,two"}),
        ("a=1,a=2", {"a": 2}),
        ("a=1,a=null", {}),
        ("a=1,,b=2,", {"a": 1, "b": 2}),
    ],
)
def test_settings_read_as_helm_reads_them(text: str, expected: dict[str, object]) -> None:
    assert resolve(None, (), (text,)) == expected


@pytest.mark.parametrize("text", ["a", "=1", ".a=1", "a..b=1", "[0]=1", "a[x]=1", "a[99999]=1"])
def test_a_setting_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="-s"):
        resolve(None, (), (text,))


def test_a_setting_takes_the_type_of_its_default() -> None:
    found = resolve(DEFAULTS, (), ("tag=12,port=81,on=true,zones={b,c},whatever=3",))
    assert (found["tag"], found["port"], found["on"]) == ("12", 81, True)
    assert (found["zones"], found["whatever"]) == (["b", "c"], 3)


def test_an_open_table_takes_anything() -> None:
    found = resolve(DEFAULTS, (), ("anything.x.y=1,image.pull.secret=s",))
    assert found["anything"] == {"x": {"y": 1}}
    assert found["image"] == {"repository": "web", "pull": {"secret": "s"}}


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("nmae=x", "unknown value nmae", "did you mean name?"),
        ("image.repositry=x", "unknown value image.repositry", "did you mean repository?"),
        ("image.pull.q=x", "unknown value image.pull.q", "there are secret"),
        ("port=http", "port must be a whole number, not 'http'", ""),
        ("on=1", "on must be true or false, not 1", ""),
        ("image=x", "image must be a table, not 'x'", ""),
        ("zones=x", "zones must be a list, not 'x'", ""),
        ("name.first=x", "name must be a text, not a table", ""),
    ],
)
def test_what_does_not_fit_the_defaults_is_refused(text: str, says: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve(DEFAULTS, (), (text,))
    assert (caught.value.message, caught.value.hint) == (says, hint)


@given(trees)
def test_strictness_takes_nothing_it_does_not_know(tree: dict[str, object]) -> None:
    try:
        found = conform(merge(DEFAULTS, tree), DEFAULTS)
    except UserError:
        return
    assert isinstance(found, dict)
    assert set(found) <= set(DEFAULTS)


def file(folder: Path, text: str) -> Path:
    path = folder / "values.yaml"
    path.write_text(text, "utf-8")
    return path


def test_files_go_over_defaults_and_settings_over_files(tmp_path: Path) -> None:
    path = file(tmp_path, "name: file\nport: 1\nimage: {pull: {secret: s}}\n")
    found = resolve(DEFAULTS, (path,), ("port=2",))
    assert (found["name"], found["port"]) == ("file", 2)
    assert found["image"] == {"repository": "web", "pull": {"secret": "s"}}


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [1]\nb: *x\n",
        "a: !!python/object/apply:os.system [id]\n",
        "a: 1\na: 2\n",
        "1: a\n",
        "- a\n",
        "a: [\n",
        "a: \x00\n",
        "[" * 5000,
        "a: " + "{a: " * 80 + "1" + "}" * 80,
        "a: " + "x" * (1 << 20),
    ],
    ids=["alias", "tag", "twice", "number", "list", "half", "nul", "deep", "deeper", "large"],
)
def test_a_hostile_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match="values") as caught:
        read(file(tmp_path, text))
    assert "\n" not in caught.value.message


def test_an_empty_file_and_a_date_are_fine(tmp_path: Path) -> None:
    assert read(file(tmp_path, "# nothing\n")) == {}
    assert read(file(tmp_path, "since: 2026-11-23\n")) == {"since": "2026-11-23"}


@given(trees)
def test_a_file_gives_what_was_written(tree: dict[str, object]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        assert read(file(Path(folder), yaml.safe_dump(tree))) == tree


def test_a_context_says_what_is_missing_and_what_nobody_read() -> None:
    context = Context({"image": {"tag": "1"}, "port": 80, "spare": 1})
    with pytest.raises(MissingValue) as caught:
        context["image"]["tga"]
    assert (caught.value.message, caught.value.hint) == (
        "the value image.tga is needed",
        "did you mean tag?",
    )
    assert context.get("prot", 1) == 1
    assert context["port"] == 80
    assert context.unread() == ["spare"]
    assert dict(**context)["spare"] == 1
    assert context.unread() == []
