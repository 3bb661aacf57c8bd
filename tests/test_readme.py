"""The README and the guide say what is true: the table of options is that of the settings, and links lead somewhere.

`python tests/test_readme.py` writes the table anew.
"""

import re
from pathlib import Path

import pytest

from vidstyle.settings import JOBS, option_name, options, typed

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
GUIDE = ROOT / "vidstyle" / "guide"
OPTIONS = GUIDE / "options.md"
PAGES = [README, *sorted(GUIDE.glob("*.md"))]
BEGIN, END = "<!-- options: generated from the settings -->\n", "<!-- /options -->\n"


def options_table():
    jobs = {}  # by what is in the row besides, in the order of the first job that has it
    for job, kind in JOBS.items():
        for option in options(kind).values():
            jobs.setdefault((option_name(option), option.metadata["text"], option.default), (option, []))[1].append(job)
    rows = ["| option | meaning | default | used by |", "| --- | --- | --- | --- |"]
    for option, own in jobs.values():
        default = option.default
        if isinstance(default, tuple):
            default = typed(default)
        words = {number: word for word, number in option.metadata["words"].items()} or {None: ""}
        shown = {True: "on", False: "off"}[default] if isinstance(default, bool) else words.get(default, default)
        text = option.metadata["text"].replace("|", "\\|")
        rows.append(f"| `{option_name(option)}` | {text} | {shown} | {', '.join(own)} |")
    return "\n".join(rows) + "\n"


def split_page():
    before, rest = OPTIONS.read_text(encoding="utf-8").split(BEGIN)
    table, after = rest.split(END)
    return before, table, after


def anchors(page):
    """The headings of a page as GitHub names them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_table_of_options_is_that_of_settings():
    assert split_page()[1] == options_table()


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8")) <= 8000


def test_the_readme_links_every_page():
    links = re.findall(r"\]\((vidstyle/guide/[^)#]*)", README.read_text(encoding="utf-8"))
    assert {ROOT / link for link in links} == set(PAGES) - {README}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_pictures_and_samples_exist(page):
    text = page.read_text(encoding="utf-8")
    for name, anchor in re.findall(r"\]\(([^)#:]*)#?([^):]*)\)", text):
        linked = page.parent / name if name else page
        assert linked.is_file(), name
        assert not anchor or anchor in anchors(linked), anchor
    for name in re.findall(r"(?<![\w/])samples/[\w./-]+\.\w+", text):
        assert (ROOT / name).is_file(), name


if __name__ == "__main__":
    before, _, after = split_page()
    OPTIONS.write_text(before + BEGIN + options_table() + END + after, encoding="utf-8")
