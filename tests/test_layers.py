"""A module imports only from lower layers, never from its own (the table of the architecture)."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import vidstyle
from vidstyle.system.libraries import CLIP_LIBRARIES

LAYERS = (
    {
        *("errors", "stopwatch", "notes", "architecture", "encoding", "showing", "jobs", "stills", "system"),
        *("system.environment", "system.renames", "system.terminal", "system.signals", "system.limits"),
        *("jobs.records", "jobs.threads"),
    },
    {"values", "combinations"},
    {"schedule", "places", "system.opencv", "jobs.inputs", "jobs.locks", "system.outofmemory"},
    {
        "settings",
        "types",
        "patches",
        "stylemetrics",
        "system.files",
        "libraries",
        "weightfile",
        "descent",
        "system.exits",
        "stills.light",
    },
    {
        *(
            "optimize",
            "arguments",
            "jobs.manifest",
            "jobs.states",
            "jobs.durable",
            "system.addressspace",
            "cli.progress",
        ),
        *("stills.filekinds", "stills.colorimetry"),
    },
    {"raft", "jobs.journal", "stills.colortags"},
    {"stills.decoders"},
    {
        "networks",
        "system.memory",
        "distill.muon",
        "distill.crops",
        "losses",
        "flow",
        "color",
        "course",
        "chart",
        "encoding.looks",
        "encoding.space",
        "cli.flags",
        "shots",
        "metrics",
        "encoding.palette",
        "ffmpeg",
        "stills.pictures",
        "showing.lettering",
        "bench.machine",
        "report.figures",
        "comparison.figures",
    },
    {"media.containers", "media.fields", "media.clock", "stills.sequence"},
    {"comparison.beside", "comparison.sheet"},
    {"comparison.blind"},
    {"media.colors"},
    {"media.reader"},
    {"media.clip"},
    {
        "media",
        "system.facts",
        "distill.student",
        "distill.recipe",
        "goal",
        "coherence",
        "bench.baseline",
        "bench.figures",
        "bench.films",
        "report.plots",
    },
    {
        "stylizer",
        "sources",
        "encoding.mux",
        "encoding.readback",
        "encoding.containers",
        "jobs.checkpoint",
        "report.tables",
    },
    {"encoding.soundtracks"},
    {"encoding.partfile", "encoding.subtitles"},
    {
        "showing.playback",
        "encoding.folders",
        "distill.easel",
        "distill.calibration",
        "probe",
        "bench.tables",
        "report.observers",
        "report.words",
        "encoding.ticks",
        "balance",
        "jobs.opening",
        "jobs.rendering",
    },
    {"encoding.encoders"},
    {"pacing", "bench.evenness_tables"},
    {"encoding.gif"},
    {"encoding.trials"},
    {"encoding.animations", "showing.layouts", "showing.reel"},
    {"encoding.sinks", "showing.strips", "showing.grid"},
    {"showing.show", "sheets", "encoding.miniature"},
    {"encoding.budget"},
    {"encoding.outputs", "showing.figure"},
    {"jobs.targets"},
    {"jobs.tasks"},
    {"encode", "pipeline", "doctor", "distill.distiller", "bench.specimen", "report.page"},
    {"comparison", "distill.__main__", "bench.trials", "report.rivals"},
    {"bench", "bench.steadiness", "bench.evenness", "report.session"},
    {"report"},
    {"cli.listening", "cli.endings"},
    {"cli.options"},
    {"cli.painting", "cli.measuring"},
    {"cli"},
    {"", "__main__", "distill"},
)
BARE_ENGINE = {
    "optimize",
    "descent",
    "goal",
    "coherence",
    "stylizer",
    "networks",
    "losses",
    "stylemetrics",
    "flow",
    "color",
}
ON_CLIPS = {
    "media",
    *(f"media.{module}" for module in ("clip", "clock", "colors", "containers", "fields", "reader")),
    "encoding.mux",
    "encoding.readback",
    "encoding.soundtracks",
    "encoding.subtitles",
    "encoding.encoders",
    "encoding.animations",
    "encoding.ticks",
    "encoding.gif",
    "encoding.trials",
    "ffmpeg",
    "shots",
}  # imported where a clip is opened or written, not before
FOLDER = Path(vidstyle.__file__).parent


def name_of(path: Path) -> str:
    """Like bench.machine; a package goes by its own name."""
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


def test_imports_point_down():
    level = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    assert set(FILES) == set(level)
    wrong = [(name, other) for name in FILES for other in imports(name)[0] if other and level[other] >= level[name]]
    assert not wrong


def test_engine_runs_without_the_media_libraries():
    seen, todo = set(), set(BARE_ENGINE)
    while todo:
        name = todo.pop()
        seen.add(name)
        own, others = imports(name)
        assert not {module.split(".")[0] for module in others} & {"av", "imageio", "imageio_ffmpeg", "scenedetect"}, (
            name
        )
        todo |= own - seen - {""}


def test_the_libraries_of_clips_are_imported_only_where_there_is_a_clip():
    needed = {name: imports(name)[1] for name in FILES}
    tops = {name: {module.split(".")[0] for module in modules} for name, modules in needed.items()}
    assert {library for name in ON_CLIPS for library in tops[name] & set(CLIP_LIBRARIES)} == set(CLIP_LIBRARIES)
    for name in set(FILES) - ON_CLIPS:
        assert not tops[name] & set(CLIP_LIBRARIES), name
        assert name == "stills.decoders" or "imageio" not in tops[name], name
        assert not imports(name, at_once)[0] & ON_CLIPS, name


def test_opencv_is_imported_in_one_place():
    """Its import changes the environment of child processes."""
    assert [name for name in FILES if "cv2" in imports(name)[1]] == ["system.opencv"]


def test_only_ffmpeg_starts_a_process_and_only_the_cli_prints():
    for name, path in FILES.items():
        calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
        names = {function.id for function in calls if isinstance(function, ast.Name)}
        assert name.split(".")[0] == "cli" or name == "distill.__main__" or "print" not in names, path
        assert name == "ffmpeg" or not {"subprocess", "os.system"} & imports(name)[1], path
