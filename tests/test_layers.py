"""A module imports only from lower layers, never from its own (the table of the architecture)."""

import ast
from pathlib import Path

import vidstyle

LAYERS = (
    {"errors", "stopwatch"},
    {"types", "files", "libraries"},
    {
        "networks",
        "descent",
        "memory",
        "distill.muon",
        "distill.crops",
        "losses",
        "flow",
        "color",
        "schedule",
        "partfile",
        "shots",
        "metrics",
        "ffmpeg",
        "pictures",
        "bench.machine",
    },
    {
        "media",
        "distill.student",
        "distill.recipe",
        "optimize",
        "goal",
        "bench.baseline",
        "bench.figures",
        "report.figures",
        "report.plots",
    },
    {"stylizer", "sources", "mux", "checkpoint", "bench.tables", "report.tables"},
    {"encoders", "distill.easel", "distill.calibration", "probe", "report.observers", "report.words"},
    {"sinks"},
    {"pipeline", "doctor", "distill.distiller", "bench.specimen", "report.page"},
    {"comparison", "distill.__main__", "bench.trials", "report.rivals"},
    {"bench", "report.session"},
    {"report"},
    {"cli"},
    {"", "__main__", "distill"},
)
BARE_ENGINE = {"optimize", "descent", "goal", "stylizer", "networks", "losses", "flow", "color"}
FOLDER = Path(vidstyle.__file__).parent


def name_of(path: Path) -> str:
    """Like bench.machine; a package goes by its own name."""
    return ".".join(path.relative_to(FOLDER).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


FILES = {name_of(path): path for path in FOLDER.rglob("*.py")}


def imports(name: str) -> tuple[set[str], set[str]]:
    """The modules of vidstyle, and the others, that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(FILES[name].read_text())):
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


def test_only_ffmpeg_starts_a_process_and_only_the_cli_prints():
    for name, path in FILES.items():
        calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
        names = {function.id for function in calls if isinstance(function, ast.Name)}
        assert name in ("cli", "distill.__main__") or "print" not in names, path
        assert name == "ffmpeg" or not {"subprocess", "os.system"} & imports(name)[1], path
