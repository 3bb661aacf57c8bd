"""A cluster of several machines, simulated on this one by Ray's own means."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from standins import Counting, Kept, Numbers, Painting

from vidstyle.errors import UsageError
from vidstyle.executors.dispatch import dispatch
from vidstyle.jobs.folder.inputs import Inputs
from vidstyle.jobs.folder.manifest import Manifest
from vidstyle.jobs.folder.opening import open_job
from vidstyle.jobs.painting.shots import ShotKeeper

pytest.importorskip("ray", reason="needs Ray: pip install 'vidstyle[cluster]'")

from vidstyle.executors import cluster

PATH = os.pathsep.join([str(Path(__file__).parent.parent), str(Path(__file__).parent)])


@pytest.fixture
def machines(monkeypatch):
    """Starts a cluster of so many machines of one processor each; gives its address."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", PATH)  # workers import the stand-ins from there
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    started = []

    def start(count):
        started.append(Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}))
        for _ in range(count - 1):
            started[0].add_node(num_cpus=1)
        started[0].wait_for_nodes()
        return started[0].address

    yield start
    for one in started:
        one.shutdown()


def written():
    """What workers have written for themselves."""
    return {path for path in Path(tempfile.gettempdir()).glob("vidstyle-*") if len(path.name) > 40}


def test_files_travel_to_machines_that_do_not_have_them(machines, tmp_path):
    before, files = written(), []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(f"{name}'s words")
        files.append(str(tmp_path / name / "file"))
    kept, units = Kept(), [Numbers("a", 0, 3), Numbers("b", 0, 2)]
    with cluster.Cluster(Counting(tmp_path, files=tuple(files)), machines(2), 1, 0) as workers:
        assert workers.count == 2
        (tmp_path / "one" / "file").unlink()
        (tmp_path / "two" / "file").write_text("other words")
        dispatch(workers, units, kept)
        assert len(written() - before) == 1
    assert set(kept.devices) == {"one's words two's words"}
    assert sorted(kept.items) == [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1)]
    assert written() == before


def test_another_version_is_refused(machines, tmp_path, monkeypatch):
    address = machines(1)
    monkeypatch.setattr(cluster, "__version__", "99.9")
    refused = pytest.raises(UsageError, match=r"the cluster runs vidstyle .*, and this is 99\.9; install the same")
    with refused, cluster.Cluster(Counting(tmp_path), address, 1, 0) as workers:
        dispatch(workers, [Numbers("a", 0, 3)], Kept())


def test_a_cluster_without_what_workers_import_is_refused(machines, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # where the stand-ins are not
    address = machines(1)
    refused = pytest.raises(UsageError, match=r"cannot load vidstyle .*No module named 'standins'.*on each machine")
    with refused, cluster.Cluster(Counting(tmp_path), address, 1, 0) as workers:
        dispatch(workers, [Numbers("a", 0, 3)], Kept())


def test_a_processor_that_no_machine_has_is_not_waited_for(machines, tmp_path):
    address = machines(2)
    began = time.monotonic()
    with pytest.raises(UsageError, match="takes 2 CPUs, and no machine of the cluster has as many"):
        cluster.Cluster(Counting(tmp_path), address, 2, 0)
    with pytest.raises(UsageError, match="takes 1 CPU and 1 GPU"):
        cluster.Cluster(Counting(tmp_path), address, 1, 1)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.0 400 Bad request\r\n\r\n"], ids=["hangs up", "another"])
def test_what_answers_and_is_no_ray_is_refused(answer, tmp_path):
    def serve():
        connection, _ = server.accept()
        with connection:
            connection.recv(100)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as serving:
        serving.submit(serve)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(UsageError, match=r"nobody answers at --ray-address .*what answers is no Ray"):
            cluster.Cluster(Counting(tmp_path), address, 1, 0)
        assert time.monotonic() - began < 60


def test_another_server_that_does_not_reply_is_not_waited_for(tmp_path, monkeypatch):
    """One that speaks HTTP/2: Ray itself would wait for minutes."""
    monkeypatch.setattr(cluster, "ANSWER", 0.5)

    def serve():
        connection, _ = server.accept()
        with connection:
            connection.sendall(bytes([0, 0, 0, cluster.SETTINGS, 0, 0, 0, 0, 0]))
            while connection.recv(1000):
                pass

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as serving:
        serving.submit(serve)
        with pytest.raises(UsageError, match=r"nobody answers at --ray-address .*timed out"):
            cluster.Cluster(Counting(tmp_path), f"127.0.0.1:{server.getsockname()[1]}", 1, 0)


HEAD = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""
CONNECT = """
import sys
from pathlib import Path
from standins import Counting
from vidstyle.executors import cluster
with cluster.Cluster(Counting(Path(sys.argv[1])), sys.argv[2], 1, 0):
    print("connected")
"""


@pytest.mark.slow
def test_a_wrong_token_is_tried_three_times_at_most(tmp_path):
    def run(code, letter, *words):
        added = {"PYTHONPATH": PATH, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": letter * 64}
        command, pipe = [sys.executable, "-c", code, *words], subprocess.PIPE
        return subprocess.Popen(command, env=os.environ | added, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    with run(HEAD, "a") as head:
        address = head.stdout.readline().strip()
        refused = run(CONNECT, "b", tmp_path, address).communicate()[1]
        connected, _ = run(CONNECT, "a", tmp_path, address).communicate()
        head.communicate("")
    assert "if the cluster has a token, RAY_AUTH_MODE and RAY_AUTH_TOKEN must name it" in refused
    assert 1 <= refused.count("gcs_client.cc") <= 3
    assert connected == "connected\n"


@pytest.mark.parametrize(
    ("nodes", "shots"), [pytest.param(2, 60, marks=pytest.mark.slow), pytest.param(8, 2000, marks=pytest.mark.soak)]
)
def test_many_shots_cost_the_driver_little(machines, tmp_path, nodes, shots):
    """Real folder, stand-in painters: memory stays as it is, and a frame takes little time of the processor."""
    each, process = 3, psutil.Process()
    manifest = Manifest(each * shots, shots=tuple(range(each, each * shots, each)))
    seen: list[tuple[int, float, int]] = []

    def note(progress):
        seen.append((progress.painted, time.process_time(), process.memory_info().rss))

    with open_job(tmp_path / "out.mp4", manifest) as job:
        keeper = ShotKeeper(job, Inputs({}), 2, on_progress=note)
        with cluster.Cluster(Painting(100_000), machines(nodes), 1, 0) as workers:
            assert workers.count == nodes
            began = time.perf_counter()
            dispatch(workers, keeper.units, keeper)
            took = time.perf_counter() - began
        assert job.painted == each * shots
        assert not list((job.path / "states").iterdir())
    begin = next(one for one in seen if one[0] >= each * shots // 5)
    painted, seconds = (end - start for end, start in zip(seen[-1][:2], begin[:2], strict=True))
    grown = seen[-1][2] / begin[2] - 1
    cost = 1000 * seconds / painted
    print(f"{cost:.2f} ms of the processor a frame, {grown:+.1%} memory, {painted / took:.0f} frames/s")
    assert seconds / painted < 0.010
    assert grown < 0.05
