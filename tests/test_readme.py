"""The README says what is true: its table of options is the one `Settings` has, its files exist.

`python tests/test_readme.py` writes the table anew.
"""

import dataclasses
import re
from pathlib import Path

from vidstyle.settings import Settings, option_name, typed

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- options: generated from Settings -->\n", "<!-- /options -->\n"


def options_table():
    rows = ["| option | meaning | default | used by |", "| --- | --- | --- | --- |"]
    for option in dataclasses.fields(Settings):
        default = option.default
        if isinstance(default, tuple):
            default = typed(default)
        words = {number: word for word, number in option.metadata["words"].items()} or {None: ""}
        shown = {True: "on", False: "off"}[default] if isinstance(default, bool) else words.get(default, default)
        text = option.metadata["text"].replace("|", "\\|")
        rows.append(f"| `{option_name(option)}` | {text} | {shown} | {', '.join(option.metadata['only'])} |")
    return "\n".join(rows) + "\n"


def split_readme():
    before, rest = (ROOT / "README.md").read_text().split(BEGIN)
    table, after = rest.split(END)
    return before, table, after


def test_the_table_of_options_is_that_of_settings():
    assert split_readme()[1] == options_table()


def test_pictures_and_samples_exist():
    text = (ROOT / "README.md").read_text()
    found = re.findall(r"(samples/[\w./-]+\.\w+)", text)
    assert found
    for name in found:
        assert (ROOT / name).is_file(), name


if __name__ == "__main__":
    before, _, after = split_readme()
    (ROOT / "README.md").write_text(before + BEGIN + options_table() + END + after)
