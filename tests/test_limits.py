"""How much memory there is, on systems that are folders, and what becomes of an error that means that it ran out."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import pixels, texture
from PIL import Image
from safetensors import SafetensorError

import vidstyle
from vidstyle.errors import MediaError, MemoryLimitError, UsageError, VidstyleError
from vidstyle.system import exits, limits, outofmemory

GB = 10**9
V1, V2 = "35 32 0:32 {} {} rw,relatime - cgroup cgroup rw,memory", "30 23 0:26 {} {} rw - cgroup2 cgroup2 rw"


def system(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if isinstance(text, str) else str(text))
    return root


def v2(limit, used, inactive=0, active=0, mapped=0, high="max", folder="sys/fs/cgroup"):
    stat = f"anon 5\nfile_mapped {mapped}\ninactive_file {inactive}\nactive_file {active}\n"
    names = ("memory.max", "memory.high", "memory.current", "memory.stat")
    return {f"{folder}/{name}": text for name, text in zip(names, (limit, high, used, stat), strict=True)}


def v1(limit, used, inactive=0, active=0, mapped=0, folder="sys/fs/cgroup/memory"):
    stat = f"inactive_file 0\ntotal_mapped_file {mapped}\ntotal_inactive_file {inactive}\ntotal_active_file {active}\n"
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat")
    return {f"{folder}/{name}": text for name, text in zip(names, (limit, used, stat), strict=True)}


def proc(groups, mounts):
    return {"proc/self/cgroup": groups + "\n", "proc/self/mountinfo": mounts + "\n"}


JOB2 = "sys/fs/cgroup/user.slice/job"
TOP = "/sys/fs/cgroup"
SYSTEMS = {
    "nothing said": ({}, None),
    "no limit (v2)": (proc("0::/", V2.format("/", TOP)) | v2("max", GB), None),
    "the root (v2)": (proc("0::/", V2.format("/", TOP)) | v2(2 * GB, GB), GB),
    "below the root (v2)": (proc("0::/user.slice/job", V2.format("/", TOP)) | v2(2 * GB, GB, folder=JOB2), GB),
    "above it is less (v2)": (
        proc("0::/user.slice/job", V2.format("/", TOP))
        | v2(5 * GB, GB, folder=JOB2)
        | v2(3 * GB, 2 * GB, folder="sys/fs/cgroup/user.slice"),
        GB,
    ),
    "memory.high is less (v2)": (proc("0::/", V2.format("/", TOP)) | v2(9 * GB, GB, high=3 * GB), 2 * GB),
    "page cache goes when it has to": (
        proc("0::/", V2.format("/", TOP)) | v2(2 * GB, 2 * GB, inactive=GB, active=GB // 2),
        GB + GB // 2,
    ),
    "mapped libraries stay": (
        proc("0::/", V2.format("/", TOP)) | v2(2 * GB, 2 * GB, inactive=GB, mapped=GB // 4),
        GB - GB // 4,
    ),
    "below the root (v1)": (
        proc("4:memory:/docker/7\n0::/", V1.format("/", TOP + "/memory"))
        | v1(2**63 - 4096, GB)
        | v1(2 * GB, GB, inactive=GB // 2, folder="sys/fs/cgroup/memory/docker/7"),
        GB + GB // 2,
    ),
    "a container's own mount (v1)": (
        proc("9:cpu:/x\n4:memory:/docker/7", V1.format("/docker/7", TOP + "/memory")) | v1(2 * GB, GB),
        GB,
    ),
    "a name space that hides what is above (v2)": (
        proc("0::/../../job", V2.format("/", TOP)) | v2(2 * GB, GB),
        GB,
    ),
    "both versions (hybrid)": (
        proc("4:memory:/a\n0::/b", V1.format("/", TOP + "/memory") + "\n" + V2.format("/", TOP + "/unified"))
        | v1(2 * GB, GB, folder="sys/fs/cgroup/memory/a"),
        GB,
    ),
    "a mount with a blank": (
        proc("0::/job", V2.format("/", "/my\\040groups")) | v2(2 * GB, GB, folder="my groups/job"),
        GB,
    ),
    "more used than allowed": (proc("0::/", V2.format("/", TOP)) | v2(GB, 2 * GB), 0),
    "nonsense": (proc("what\n0:\n::::", "x\n - \n- cgroup2") | v2("many", "some"), None),
}


@pytest.mark.parametrize("case", SYSTEMS)
def test_control_groups(tmp_path, case):
    files, free = SYSTEMS[case]
    assert limits.groups_available(system(tmp_path, files)) == free


def test_the_tightest_limit_counts(tmp_path):
    meminfo, status = "MemTotal: 9 kB\nMemAvailable:   3000000 kB\n", "VmPeak:\t9 kB\nVmSize:\t1000000 kB\n"
    root = system(tmp_path, {"proc/meminfo": meminfo, "proc/self/status": status})
    assert limits.host_available(root) == limits.available(root) == 3_000_000 * 1024
    used = 1_000_000 * 1024
    assert limits.rlimits_available(root, {"RLIMIT_AS": 2 * GB}) == 2 * GB - used - limits.RESERVE
    assert limits.rlimits_available(root, {"RLIMIT_AS": GB}) == 0
    assert limits.rlimits_available(root, {"RLIMIT_DATA": GB}) is None  # the system does not say what is used
    assert limits.rlimits_available(root, {}) is None
    system(root, proc("0::/", V2.format("/", TOP)) | v2(2 * GB, GB))
    assert limits.available(root) == GB


def real_errors():
    """As the libraries raise them here when asked for more than there is."""
    yield lambda: torch.empty(2**60)
    yield lambda: np.empty(2**60, np.uint8)
    yield lambda: bytearray(2**62)
    yield lambda: cv2.resize(np.zeros((1, 1, 3), np.uint8), (2**24, 2**24))


@pytest.mark.parametrize("ask", [*real_errors()])
def test_errors_of_libraries_are_known(ask):
    with pytest.raises((RuntimeError, MemoryError, cv2.error)) as raised:
        ask()
    assert outofmemory.is_out_of_memory(raised.value), repr(raised.value)


SAYINGS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: not enough memory: you tried to allocate 9"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("could not create a primitive"),
    RuntimeError("could not execute a primitive"),
    RuntimeError("can't start new thread"),
    RuntimeError("std::bad_alloc"),
    ImportError("libtorch_cuda.so: failed to map segment from shared object"),
    ImportError("libQt5Core.so: cannot allocate memory in static TLS block"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    OSError("image decoding error: out of memory error"),
    SafetensorError("Error while deserializing: Cannot allocate memory (os error 12)"),
    VidstyleError("ffmpeg failed: [libx264 @ 0x1] malloc of size 9 failed; Cannot allocate memory"),
]
OTHERS = [
    RuntimeError("shape mismatch"),
    OSError(errno.ENOSPC, "No space left on device"),
    ValueError("memory"),
    KeyError("x"),
]


@pytest.mark.parametrize("error", SAYINGS, ids=lambda error: str(error)[:30])
def test_what_libraries_say_is_known_wherever_it_was_wrapped(error):
    assert exits.outcome(error)[0] == 5
    wrapped = MediaError("the picture cannot be read")
    wrapped.__cause__ = error
    code, text = exits.outcome(wrapped)
    assert (code, text.startswith("memory ran out (")) == (5, True)

    @outofmemory.memory_errors()
    def work():
        raise error

    with pytest.raises(MemoryLimitError, match=r"memory ran out .*--size"):
        work()


@pytest.mark.parametrize("error", OTHERS, ids=lambda error: type(error).__name__)
def test_other_errors_stay_what_they_are(error):
    @outofmemory.memory_errors()
    def work():
        raise error

    with pytest.raises(type(error)):
        work()
    assert exits.outcome(error)[0] != 5
    assert exits.outcome(UsageError("no"))[0] == 2


def environment():
    return {**os.environ, "PYTHONPATH": str(Path(vidstyle.__file__).parent.parent), "OMP_NUM_THREADS": "1"}


def limited(limit, *arguments):
    """Run the command line below a limit of its address space."""
    import resource

    return subprocess.run(
        [sys.executable, "-m", "vidstyle", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (int(limit), int(limit))),
    )


IMPORTS = """
import vidstyle.api  # all that painting a picture takes
from vidstyle.system import limits
print(limits._kilobytes(limits.ROOT / "proc/self/status")["VmSize"])
"""


@pytest.fixture(scope="module")
def libraries_take():
    """Bytes of address space that the libraries take here."""
    if sys.platform != "linux":
        pytest.skip("no other system enforces the limit")
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, env=environment(), check=True)
    return int(done.stdout)


@pytest.fixture
def large(tmp_path):
    Image.fromarray(pixels(texture(1000, 1500, seed=1))).save(tmp_path / "large.png")
    return tmp_path / "large.png"


def paint_below(limit, large, *options):
    fast = ["-q", "-y", "--first-iterations", 1, "--device", "cpu"]
    before = sorted(large.parent.iterdir())
    done = limited(limit, "image", large, large, "-o", large.parent / "out.png", *fast, *options)
    assert done.returncode in (0, 5), done.stderr
    if done.returncode == 5:
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert sorted(large.parent.iterdir()) == before
    return done


@pytest.mark.slow
def test_below_a_limit_of_the_address_space_it_says_what_works_and_that_works(large, libraries_take):
    done = paint_below(0.7 * libraries_take, large)
    assert "the libraries that paint do not fit" in done.stderr
    limit = libraries_take + limits.RESERVE + outofmemory.START + 0.4 * GB
    done = paint_below(limit, large, "--size", 1500)
    assert "the largest --size that fits is" in done.stderr
    size = done.stderr.split("fits is ")[1].split(",")[0].strip()
    assert 200 < int(size) < 1200
    assert paint_below(limit, large, "--size", size).returncode == 0


NO_ROOM = """
import sys

class Full:
    def find_spec(self, name, path=None, target=None):
        if name == missing:
            raise ImportError("libjpeg.so.62: failed to map segment from shared object")

sys.meta_path.insert(0, Full())
missing = sys.argv.pop(1)
from vidstyle.__main__ import main
main()
"""


@pytest.mark.parametrize("library", ["PIL.Image", "imageio.plugins.pillow", "cv2"])
def test_a_picture_library_that_finds_no_room_is_memory_that_ran_out(large, library):
    arguments = ["image", large, large, "-o", large.parent / "out.png", "-q", "--size", 64, "--first-iterations", 1]
    command = [sys.executable, "-c", NO_ROOM, library, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    assert (done.returncode, done.stderr.count("\n")) == (5, 1), done.stderr
    assert "memory ran out (libjpeg.so.62: failed to map segment" in done.stderr


@pytest.mark.soak
def test_below_any_limit_of_the_address_space_it_paints_or_says_why_not(large, libraries_take):
    """From what Python alone takes to what the painting takes, in steps of 100 MB; within 1 GB above the libraries."""
    for limit in range(20_000_000, libraries_take + GB, 100_000_000):
        for size in (32, 600):
            paint_below(limit, large, "--size", size)
