"""Importing the package changes nothing in the process: neither torch nor signals, nor the C library's memory."""

import os
import subprocess
import sys
from pathlib import Path

import vidstyle

PROGRAM = """
import importlib, logging, os, pkgutil, random, signal, sys, threading, warnings

import cv2, numpy, PIL.Image, rich.console, rich.markdown, rich.progress, safetensors.torch, torch, torchvision, typer
from torchvision.models import optical_flow
try:
    import av, imageio, imageio_ffmpeg, scenedetect
except ImportError:
    pass
try:
    import nicegui  # it adds a filter of warnings
except ImportError:
    pass

os.environ.pop("LD_LIBRARY_PATH", None)  # OpenCV has put an empty element into it: vidstyle takes it out

def state():
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    return {
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "hooks": (sys.excepthook, sys.unraisablehook, sys.displayhook, threading.excepthook),
        "threads": threading.enumerate(),
        "threads of torch": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "backends": (cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32,
                     matmul.allow_bf16_reduced_precision_reduction, torch.get_float32_matmul_precision(),
                     torch.are_deterministic_algorithms_enabled(), torch.is_grad_enabled(), torch.get_default_dtype()),
        "random": (torch.initial_seed(), random.getstate(), str(numpy.random.get_state())),
        "environment": dict(os.environ),
        "folder": (os.getcwd(), list(sys.path)),
        "logging": (logging.root.level, list(logging.root.handlers), logging.lastResort),
        "warnings": list(warnings.filters),
        "pictures": (PIL.Image.MAX_IMAGE_PIXELS, numpy.geterr()),
    }

if sys.argv[1:]:  # what a job does is seen here
    import vidstyle.core.optimize
asked = []
sys.addaudithook(lambda event, given: asked.append(given[1]) if event == "ctypes.dlsym" else None)
before = state()
import vidstyle
if sys.argv[1:]:
    vidstyle.core.optimize.keep_freed_memory()
    torch.set_num_threads(torch.get_num_threads() + 1)
    print(0, [name for name in before if state()[name] != before[name]] + ["mallopt"] * ("mallopt" in asked))
    sys.exit()
names = [one.name for one in pkgutil.walk_packages(vidstyle.__path__, "vidstyle.") if not one.name.endswith("__main__")]
for name in names:
    try:
        importlib.import_module(name)
    except ImportError as error:  # of clips, or of the page
        lacking = ("av", "imageio", "imageio_ffmpeg", "scenedetect", "nicegui", "starlette")
        assert error.name in lacking, error
for name in vidstyle.__all__:
    getattr(vidstyle, name)
after = state()
changed = [name for name in before if after[name] != before[name]]
changed += ["mallopt"] if "mallopt" in asked else []
print(len(names), changed)
"""


def changed(*words):
    """How many modules are imported, and what that changes."""
    own = {"PYTHONPATH": str(Path(vidstyle.__file__).parents[1])}
    command = [sys.executable, "-c", PROGRAM, *words]
    done = subprocess.run(command, env=os.environ | own, capture_output=True, text=True, check=True)
    modules, found = done.stdout.split(maxsplit=1)
    return int(modules), found.strip()


def test_an_import_changes_nothing():
    modules, found = changed()
    assert modules > 100
    assert found == "[]"


def test_a_change_would_be_seen():
    _, found = changed("change")
    assert "'threads of torch'" in found
    assert sys.platform != "linux" or "'mallopt'" in found
