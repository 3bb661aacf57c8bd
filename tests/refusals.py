"""Every sentence with which vidstyle refuses, collected from its source: `python tests/refusals.py` prints a table."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import vidstyle
from vidstyle import errors

FOLDER = Path(vidstyle.__file__).parent
CLASSES = {
    name: kind.exit_code
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.VidstyleError)
}
HELPERS = {"refuse": "UsageError", "_fail": "UsageError", "_refuse": "UsageError"}  # methods that raise for others


class Refusal(NamedTuple):
    code: int
    error: str
    file: str
    line: int
    text: str  #: with the expressions that are filled in


def refusals() -> Iterator[Refusal]:
    """All of them, in the order of the files."""
    for path in sorted(FOLDER.rglob("*.py")):
        tree = ast.parse(path.read_text())
        helpers = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (error := _error_of(node)) and (text := _text(node.args, helpers)):
                yield Refusal(CLASSES[error], error, path.relative_to(FOLDER).as_posix(), node.lineno, text)


def _error_of(call: ast.Call) -> str | None:
    """The class of the error that a call makes, or raises."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name if name in CLASSES else HELPERS.get(name)


def _text(arguments: list[ast.expr], helpers: dict[str, ast.FunctionDef]) -> str:
    """The longest text among the arguments of a call: its sentence, which a function of the same file may make."""
    called = [helpers.get(getattr(one.func, "id", "")) for one in arguments if isinstance(one, ast.Call)]
    returned = [node for one in called if one for node in ast.walk(one) if isinstance(node, ast.Return)]
    texts = map(_written, [*arguments, *(node.value for node in returned if node.value)])
    return max(texts, key=len, default="")


def _written(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_written(part) for part in parts)
        case ast.FormattedValue(value=value):
            return "{" + ast.unparse(value) + "}"
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _written(left) + _written(right)
        case ast.IfExp(body=body, orelse=other):
            return f"{_written(body)} / {_written(other)}"
    return ""


def main() -> None:
    print("| exit | class | text | file |\n| --- | --- | --- | --- |")
    for found in sorted(refusals()):
        text = " ".join(found.text.split()).replace("|", "\\|")
        print(f"| {found.code} | {found.error} | {text} | {found.file}:{found.line} |")


if __name__ == "__main__":
    main()
