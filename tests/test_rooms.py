"""Which room may import which, and which libraries belong where (the table of the architecture)."""

import ast
from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import vidstyle
from vidstyle.system.libraries import CLIP_LIBRARIES

LOW = ("errors", "system", "types", "schedule", "settings")  # each imports only from those before it
PAINTING = ("core", "motion", "media", "compose")
ROOMS: dict[str, tuple[str, ...]] = {
    **{room: LOW[:number] for number, room in enumerate(LOW)},
    **dict.fromkeys(("core", "motion", "media"), LOW),
    "executors": LOW,
    "compose": (*LOW, "media.stills"),
    "jobs": (*LOW, *PAINTING, "executors"),
    "api": (*LOW, "jobs"),
    "lab": (*LOW, *PAINTING, "jobs", "api"),
    "batch": (*LOW, "executors", "jobs", "api"),
    "studio": (*LOW, "api", "compose", "media"),
    "guide": (),
    "cli": (*LOW, "api", "lab", "batch", "studio", "guide"),
    "__main__": ("system", "cli"),
    "": (*LOW, "api", "lab"),  # the package itself, which re-exports
}  # what each may import besides itself; assets holds no modules
ON_CLIPS = {
    "media.video",
    *(f"media.video.{module}" for module in ("clip", "clock", "colors", "containers", "fields", "reader")),
    *(f"media.writers.{module}" for module in ("animations", "encoders", "mux", "readback", "tracks")),
    *("jobs.output.trials", "system.ffmpeg"),
}  # imported where a clip is opened or written, not before
FOLDER = Path(vidstyle.__file__).parent


def name_of(path: Path) -> str:
    """Like lab.doctor; a package goes by its own name."""
    return ".".join(path.relative_to(FOLDER).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


FILES = {name_of(path): path for path in FOLDER.rglob("*.py")}


def at_once(tree: ast.AST) -> Iterator[ast.AST]:
    """What runs when a module is imported: nothing inside a function, nothing that is for the type checker only."""
    for node in ast.iter_child_nodes(tree):
        typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not typing and not isinstance(node, ast.FunctionDef):
            yield node
            yield from at_once(node)


def imports(name: str, walk: Callable[[ast.AST], Iterator[ast.AST]] = ast.walk) -> tuple[set[str], set[str]]:
    """The modules of vidstyle, and the others, that a module imports anywhere, or where `walk` goes."""
    found = set()
    for node in walk(ast.parse(FILES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {one for one in inner if one.removeprefix("vidstyle.") in FILES}
            found |= modules or {node.module}
    own = {one.removeprefix("vidstyle").removeprefix(".") for one in found if one.split(".")[0] == "vidstyle"}
    return own, {one for one in found if one.split(".")[0] != "vidstyle"}


def lies_in(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def test_a_room_imports_only_what_the_table_allows():
    for name in FILES:
        room = name.split(".")[0]
        others = [other for other in imports(name)[0] if not lies_in(other, room)]
        assert not [other for other in others if not any(lies_in(other, allowed) for allowed in ROOMS[room])], name


def test_no_modules_import_each_other_in_a_circle():
    order = TopologicalSorter({name: imports(name)[0] - {name} for name in FILES}).static_order()
    assert set(order) >= set(FILES)  # raises CycleError if there is one


def test_no_folders_within_a_room_import_each_other_in_a_circle():
    inner = {name: name.rpartition(".")[0] for name in FILES if name.count(".") == 2}
    graph: dict[str, set[str]] = {folder: set() for folder in inner.values()}
    for name, folder in inner.items():
        graph[folder] |= {inner[other] for other in imports(name)[0] if other in inner} - {folder}
    assert {"jobs.sources", "jobs.painting", "media.stills", "lab.bench"} <= graph.keys()
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError if there is one


def test_engine_runs_without_the_media_libraries():
    seen, todo = set(), {"motion.flow", *(name for name in FILES if lies_in(name, "core"))}
    while todo:
        name = todo.pop()
        seen.add(name)
        own, others = imports(name)
        assert not {module.split(".")[0] for module in others} & {"av", "imageio", "imageio_ffmpeg"}, name
        todo |= own - seen - {""}


def test_the_libraries_of_clips_are_imported_only_where_there_is_a_clip():
    needed = {name: imports(name)[1] for name in FILES}
    tops = {name: {module.split(".")[0] for module in modules} for name, modules in needed.items()}
    assert {library for name in ON_CLIPS for library in tops[name] & set(CLIP_LIBRARIES)} == set(CLIP_LIBRARIES)
    for name in set(FILES) - ON_CLIPS:
        assert not tops[name] & set(CLIP_LIBRARIES), name
        assert (name == "media.stills.codecs") == ("imageio" in tops[name]), name
        assert not imports(name, at_once)[0] & ON_CLIPS, name


def test_opencv_is_imported_in_one_place():
    """Its import changes the environment of child processes."""
    assert [name for name in FILES if "cv2" in imports(name)[1]] == ["system.opencv"]


def test_only_three_modules_start_a_process_and_only_the_cli_prints():
    for name, path in FILES.items():
        calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
        names = {function.id for function in calls if isinstance(function, ast.Name)}
        assert name.split(".")[0] == "cli" or name == "lab.distill.__main__" or "print" not in names, path
        starts = {"subprocess", "os.system"} & imports(name)[1]
        assert not starts or name in ("system.ffmpeg", "executors.processes", "studio.queue"), path
