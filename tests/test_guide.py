"""`vidstyle guide` lists the pages of the manual and shows each, in a terminal and in a file."""

import re
from pathlib import Path

import pytest
import typer

import vidstyle as package
from vidstyle.cli import app
from vidstyle.cli import guide as manual
from vidstyle.cli.sections import SECTIONS, Sectioned, name_of
from vidstyle.system import terminal

PAGES = sorted((Path(package.__file__).parent / "guide").glob("*.md"))
COMMANDS = typer.main.get_command(app).commands


def test_every_page_is_listed_with_a_sentence(vidstyle):
    done = vidstyle("guide")
    assert done.exit_code == 0
    rows = re.findall(r"^(\w+) +(\S.*(?:\n +\S.*)*)", done.output.split("TOPIC\n")[1], re.M)
    assert [name for name, _ in rows] == [page.stem for page in PAGES]
    assert all(re.fullmatch(r"[^.:!?]+(: [^.:!?]+)?[.]", " ".join(text.split()).replace("0.4", "")) for _, text in rows)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_can_be_read(vidstyle, page, monkeypatch):
    """As plain text in a file, laid out in a terminal; without comments and pictures in both."""
    plain = vidstyle("guide", page.stem)
    assert plain.exit_code == 0
    assert plain.output.startswith("# ")
    assert "<!--" not in plain.output
    assert "![" not in plain.output
    assert plain.output.splitlines()[0] == page.read_text(encoding="utf-8").splitlines()[0]
    assert set(re.findall(r"vidstyle guide (?!TOPIC)(\w+)`", plain.output)) <= set(manual.PAGES)
    assert not re.search(r"\]\(\w+\.md", plain.output)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    shown = vidstyle("guide", page.stem.upper())
    assert shown.exit_code == 0
    assert "\x1b[" in shown.output
    words = re.sub(r"\x1b\[[0-9;]*m|\x1b\]8;.*?\x1b\\\\", "", shown.output)
    assert not re.search(r"^# |\]\(", words, re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_can_be_printed_in_any_encoding(page):
    text = manual.text_of(page.stem)
    assert {letter for letter in text if not letter.isascii()} <= set(terminal.INSTEAD)


@pytest.mark.parametrize(
    ("topic", "nearest"),
    [("alhpa", "alpha"), ("network", "networks"), ("consistent", "consistency"), ("gif", "articles"), ("zzz", "alpha")],
)
def test_another_topic_is_answered_with_the_nearest(vidstyle, topic, nearest):
    done = vidstyle("guide", topic)
    assert done.exit_code == 2
    assert f"the nearest is '{nearest}'" in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_vidstyle_alone_shows_three_examples(vidstyle):
    text = vidstyle().output
    assert re.findall(r"^  vidstyle (\w+) .* -o ", text, re.M) == ["video", "balance", "image"]
    assert "vidstyle guide" in text


@pytest.mark.parametrize("command", [name for name in COMMANDS if isinstance(COMMANDS[name], Sectioned)])
def test_help_names_every_option_once_in_sections(vidstyle, command):
    text = vidstyle(command, "--help").output
    options = {name_of(one) for one in COMMANDS[command].params if one.param_type_name == "option"}
    shown = re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.M)
    assert sorted(shown) == sorted(options | {"--help"})
    assert text.index("Used most:") < text.index("Machine:")
    if command in ("video", "balance", "image", "sheet", "encode"):
        assert "Options of this command:" not in text


def test_every_section_names_options_that_exist_once():
    named = [name for names in SECTIONS.values() for name in names]
    known = {name_of(one) for command in COMMANDS.values() for one in command.params}
    assert len(named) == len(set(named))
    assert set(named) <= known | {"--help"}
