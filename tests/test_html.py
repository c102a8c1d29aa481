"""The page people forward: complete, small, silent, and proof against what strangers wrote."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.report.html import as_html
from agent.report.jsonform import document
from agent.report.markdown import as_markdown
from agent.report.screen import Screen
from agent.report.terminal import as_text
from agent.report.view import Asked, Report, report
from agent.report.whole_file import write_whole
from tests.command import calm_bundle, is_one_line, killed_bundle, knockon, puzzling_bundle
from tests.full_node import an_hour, probes, whole_report
from tests.golden_files import same_as_golden
from tests.handmade import founding, origin, unknown
from tests.hostile import TEXTS, hostile_report
from tests.pages import Page, read_page

LARGEST_BYTES = 300_000
AGENT = Path(__file__).parent.parent / "agent"
STYLES = (AGENT / "report" / "page" / "page.css", AGENT / "daemon" / "page" / "page.css")


def small_report() -> Report:
    """The founding incident with two minutes of a small node around the kill."""
    moved = [replace(s, at_s=s.at_s + 44 * 60) for s in an_hour(seconds=120, pods=4)]
    asked = [replace(p, at_s=p.at_s + 44 * 60) for p in probes(120)]
    recorded = replace(
        origin(spoofed=3, missing=("Kubernetes events",)),
        samples=tuple(moved),
        probes=tuple(asked),
        command="knockon why --bundle bundle-1",
    )
    return report([founding(), unknown()], recorded)


def without_parts(text: str) -> str:
    """Leave style, script and their hashes out: they are read in their own files."""
    text = re.sub(r"(<style>).*?(</style>)", r"\1\2", text, flags=re.DOTALL)
    text = re.sub(r"(<script>).*?(</script>)", r"\1\2", text, flags=re.DOTALL)
    text = re.sub(r"sha256-[\w+/=]+", "sha256-", text)
    return text.replace("><", ">\n<")


def test_page_is_golden() -> None:
    same_as_golden(without_parts(as_html(small_report())), "report.html")


def test_same_report_gives_the_same_bytes() -> None:
    assert as_html(small_report()) == as_html(small_report())


def test_first_screen_names_killer_cause_offender_victims_and_next_step() -> None:
    text = as_html(small_report())
    first = text[: text.index('id="i0-timeline"')]
    shown = read_page(first).text
    for said in (
        "The health monitor killed docker because the disk was saturated",
        "kube-docker-monitor.service",
        "Disk I/O saturation",
        "pod prod/backup-7",
        "5 pods",
        "Likely, 0.82",
        "the runtime probe: it would show how late docker answered",
        "Give backup-7 a rate limit",
    ):
        assert said in shown


def test_all_forms_say_the_same() -> None:
    answered = small_report()
    first = answered.incidents[0]
    forms = [
        read_page(as_html(answered)).text,
        as_markdown(answered).replace("`", "").replace("\\", ""),
        " ".join(as_text(answered, Screen(width=1000, explain=True)).split()),
        json.dumps(document(answered)),
    ]
    said = [first.verdict, "kube-docker-monitor.service", f"{first.confidence:.2f}", "backup-7"]
    said += [*first.advice, *first.missing, *(owner.impact for owner in first.owners)]
    for text in forms:
        assert [one for one in said if one not in text] == []


def test_full_node_and_an_hour_stay_small() -> None:
    text = as_html(whole_report())
    assert len(text.encode()) < LARGEST_BYTES
    page = read_page(text)
    plots = [has for _, has in page.tags if has.get("class") == "plot"]
    assert len(plots) == 11
    assert all("typically" in has["aria-label"] for has in plots)
    assert "shop-109-7d9c5b8f64-00109" in page.text


def test_page_asks_nobody_for_anything() -> None:
    page = read_page(as_html(small_report()))
    assert page.values("src") == []
    assert all(value.startswith("#") or value == "data:," for value in page.values("href"))
    policy = next(has for _, has in page.tags if "http-equiv" in has)["content"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_policy_allows_our_style_and_script_only() -> None:
    page = read_page(as_html(small_report()))
    policy = next(has for _, has in page.tags if "http-equiv" in has)["content"]
    blocks = [text for name, text in page.blocks if not text.startswith("{")]
    assert len(blocks) == 2
    for text in blocks:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert page.values("style") == []


def test_every_link_and_label_finds_its_place() -> None:
    page = read_page(as_html(small_report()))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    links = [value[1:] for value in page.values("href") if value.startswith("#")]
    pointed = [*links, *page.values("for"), *page.values("aria-labelledby")]
    assert links
    assert set(pointed) <= set(ids)


def test_page_is_accessible_markup() -> None:
    page = read_page(as_html(small_report()))
    assert page.unbalanced == []
    assert dict(page.tags)["html"]["lang"] == "en"
    assert {"header", "main", "footer", "h1"} <= set(page.names)
    assert page.names.count("h1") == 1
    for name, has in page.tags:
        if name == "svg":
            assert has.get("aria-label") or has.get("aria-hidden") == "true"
        if name == "button":
            assert has["aria-label"]
    assert page.names.count("table") == page.names.count("caption")


def test_without_samples_one_line_says_so() -> None:
    page = read_page(as_html(report([founding()], origin())))
    assert "there are no charts to show" in page.text
    assert "plot" not in page.values("class")
    assert "figcaption" not in page.names


def test_unknown_without_any_time_has_no_timeline() -> None:
    page = read_page(as_html(report([unknown()], origin())))
    assert "What it might be" in page.text
    assert "strip" not in page.values("class")


def test_quiet_input_and_pod_in_no_incident_say_so() -> None:
    assert "Nothing to report: no incident in calm." in as_html(report([], origin("calm")))
    asked = Asked("prod", "pg-O", found=False, close_names=("prod/pg-0",))
    page = read_page(as_html(report([founding()], origin(), asked=asked)))
    assert "Pod prod/pg-O is in no incident" in page.text
    assert "Other incidents in the same input" in page.text


def test_every_incident_on_request() -> None:
    both = read_page(as_html(small_report(), every_incident=True))
    assert both.names.count("article") == 2
    ids = both.values("id")
    assert len(ids) == len(set(ids))


def structure(page: Page) -> set[tuple[str, tuple[str, ...]]]:
    """The kinds of elements there are; how many lines a text takes is up to the text."""
    return {(name, tuple(has)) for name, has in page.tags}


def assert_harmless(text: str) -> None:
    page = read_page(text)
    assert page.unbalanced == []
    assert {name for name, _ in page.blocks} == {"script", "style"}
    assert page.names.count("style") == 1
    kinds = [has.get("type", "") for name, has in page.tags if name == "script"]
    assert kinds.count("") == 1
    assert set(kinds) <= {"", "application/json"}
    assert not {"img", "iframe", "object", "base", "form", "image", "animate"} & set(page.names)
    assert [name for name, _ in page.attributes if name.startswith("on")] == []
    assert all(value.startswith("#i") or value == "data:," for value in page.values("href"))
    assert page.values("xlink:href") == []
    for shown in (*page.texts, *(value for _, value in page.attributes)):
        assert shown.replace("\n", "").isprintable(), ascii(shown)
    for name, block in page.blocks:
        if name == "script" and block.startswith("{"):
            assert not set("<>&") & set(block)
            json.loads(block)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("found", [True, False])
def test_hostile_text_is_shown_not_obeyed(text: str, found: bool) -> None:
    answered = hostile_report(text, found=found)
    page = as_html(answered, every_incident=True)
    assert_harmless(page)
    calm = as_html(hostile_report("calm", found=found), every_incident=True)
    assert structure(read_page(page)) == structure(read_page(calm))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_no_text_at_all_leaves_its_place(text: str) -> None:
    assert_harmless(as_html(hostile_report(text)))


def test_very_long_line_is_cut() -> None:
    text = as_html(hostile_report("<b>" * 3_500_000))
    assert_harmless(text)
    assert len(text) < LARGEST_BYTES


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("style", STYLES, ids=lambda path: path.parts[-3])
def test_colours_have_contrast_in_every_scheme(style: Path) -> None:
    css = re.sub(r"#([0-9a-f])([0-9a-f])([0-9a-f])\b", r"#\1\1\2\2\3\3", style.read_text("utf-8"))
    schemes = [
        dict(re.findall(r"--(\w[\w-]*): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    ]
    schemes = [scheme for scheme in schemes if scheme]
    assert len(schemes) == 3
    for scheme in schemes:
        for ground in ("paper", "panel", "accent-soft"):
            for ink in ("ink", "soft", "accent"):
                assert contrast(scheme[ink], scheme[ground]) >= 4.5, (ink, ground, scheme)
        assert contrast(scheme["data"], scheme["panel"]) >= 3


def test_command_writes_the_page_beside_its_answer(tmp_path: Path) -> None:
    folder, page = killed_bundle(tmp_path / "bundle"), tmp_path / "page.html"
    plain = knockon("why", "--bundle", folder)
    done = knockon("why", "--bundle", folder, "--html", page)
    assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout)
    text = page.read_text("utf-8")
    assert_harmless(text)
    assert f"knockon why --bundle {folder}" in text
    assert [path.name for path in tmp_path.iterdir() if ".half" in path.name] == []
    printed = knockon("why", "--bundle", folder, "--html", "-", env={"PYTHONIOENCODING": "ascii"})
    assert printed.stdout == text


def test_exit_status_is_that_of_the_answer(tmp_path: Path) -> None:
    for make, status in ((puzzling_bundle, 3), (calm_bundle, 0)):
        folder = make(tmp_path / make.__name__)
        assert knockon("why", "--bundle", folder, "--html", "-").returncode == status
        assert knockon("why", "--bundle", folder, "--markdown").returncode == status


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    folder = calm_bundle(tmp_path / "bundle")
    for words in (
        ("--html", "-", "--json"),
        ("--json", "--markdown"),
        ("--html", tmp_path / "a/b"),
    ):
        done = knockon("why", "--bundle", folder, *words)
        assert done.returncode == 2
        assert is_one_line(done.stderr)


def test_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path, link = tmp_path / "page.html", tmp_path / "link.html"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    write_whole(link, "new")
    assert (path.read_text(), link.is_symlink()) == ("new", True)
    assert path.stat().st_mode & 0o777 == 0o640
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\ud800")
    assert path.read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.html", "page.html"]
