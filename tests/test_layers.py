"""A module imports only from lower layers, never from its own (the table of the architecture)."""

import ast
from pathlib import Path

import vidstyle

LAYERS = (
    {"errors", "stopwatch"},
    {"types"},
    {
        "networks",
        "descent",
        "memory",
        "machine",
        "muon",
        "crops",
        "losses",
        "flow",
        "color",
        "schedule",
        "shots",
        "metrics",
        "ffmpeg",
        "pictures",
    },
    {"media", "student", "recipe", "optimize", "goal", "baseline", "figures"},
    {"stylizer", "sources", "mux", "checkpoint", "tables"},
    {"sinks", "easel", "calibration", "probe"},
    {"pipeline", "doctor", "distiller", "specimen"},
    {"comparison", "distill", "trials"},
    {"bench"},
    {"cli"},
    {"__init__", "__main__"},
)
BARE_ENGINE = {"optimize", "descent", "goal", "stylizer", "networks", "losses", "flow", "color"}
FOLDER = Path(vidstyle.__file__).parent


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_imports_point_down():
    level = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    modules = {path.stem: imports(path) for path in FOLDER.glob("*.py")}
    assert set(modules) == set(level)
    edges = [(name, other) for name, found in modules.items() for other in level if f"vidstyle.{other}" in found]
    wrong = [(name, other) for name, other in edges if level[other] >= level[name]]
    assert not wrong


def test_engine_runs_without_the_media_libraries():
    seen, todo = set(), set(BARE_ENGINE)
    while todo:
        name = todo.pop()
        seen.add(name)
        found = imports(FOLDER / f"{name}.py")
        assert not {module.split(".")[0] for module in found} & {"av", "imageio", "imageio_ffmpeg", "scenedetect"}, name
        todo |= {path.stem for path in FOLDER.glob("*.py") if f"vidstyle.{path.stem}" in found} - seen - {"__init__"}


def test_only_ffmpeg_starts_a_process_and_only_the_cli_prints():
    for path in FOLDER.glob("*.py"):
        calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
        names = {function.id for function in calls if isinstance(function, ast.Name)}
        assert path.stem in ("cli", "distill") or "print" not in names, path
        assert path.stem == "ffmpeg" or not {"subprocess", "os.system"} & imports(path), path
