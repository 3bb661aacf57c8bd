"""RAFT beside DIS: torchvision's network, whatever file its weights come in. All but one test do without real ones."""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from clips import make_clip, pan
from conftest import pixels, texture
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import optical_flow
from torchvision.transforms._presets import OpticalFlow
from typer.testing import CliRunner

from vidstyle.cli import app
from vidstyle.core import networks
from vidstyle.core.stylizer import Stylizer
from vidstyle.errors import MemoryLimitError, UsageError, WeightsError
from vidstyle.jobs.sources.clips import VideoSource
from vidstyle.motion import flow, raft
from vidstyle.settings import VideoSettings
from vidstyle.types import Frame

CPU = torch.device("cpu")
KINDS = {"raft": raft.LARGE, "raft-small": raft.SMALL}


def untrained(kind, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return getattr(optical_flow, kind.maker)(weights=None).eval()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A checkpoint of each network, as torchvision writes them; of networks that have learnt nothing."""
    folder = tmp_path_factory.mktemp("raft")
    for name, kind in KINDS.items():
        torch.save(untrained(kind).state_dict(), folder / f"{name}.pth")
    return {name: folder / f"{name}.pth" for name in KINDS}


def pair(height, width):
    big = pixels(texture(height + 8, width + 8, seed=1))
    return np.ascontiguousarray(big[3 : height + 3, 2 : width + 2]), big[:height, :width].copy()


@pytest.mark.parametrize("name", KINDS)
def test_it_is_torchvisions(files, name):
    previous, current = pair(136, 144)
    network, inputs = untrained(KINDS[name]), OpticalFlow()
    then, now = inputs(*(torch.from_numpy(picture).permute(2, 0, 1)[None] for picture in (previous, current)))
    state = torch.get_rng_state()
    search = raft.Raft(KINDS[name], files[name], CPU)
    found = search(previous, current)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.inference_mode():
        expected = network(now, then)[-1][0], network(then, now)[-1][0]
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == np.float32
        assert np.allclose(one, other, rtol=1e-3, atol=1e-3)
    assert not np.allclose(*found, atol=0.1)


@pytest.mark.parametrize("shape", [(2, 2), (64, 96), (131, 150), (40, 260)])
def test_pictures_of_any_size_are_the_corner_of_a_padded_one(files, shape):
    search = raft.Raft(raft.SMALL, files["raft-small"], CPU)
    pictures = pair(*shape)
    height, width = (max(128, -(-side // 8) * 8) for side in shape)
    padded = (
        cv2.copyMakeBorder(picture, 0, height - shape[0], 0, width - shape[1], cv2.BORDER_REPLICATE)
        for picture in pictures
    )
    for one, other in zip(search(*pictures), search(*padded), strict=True):
        assert one.shape == (2, *shape)
        assert np.array_equal(one, other[:, : shape[0], : shape[1]])
    motion = flow.Estimator(search)(*pictures)
    assert motion.flow.shape == (2, *shape) and motion.visible.shape == (1, *shape)


@pytest.mark.slow
def test_the_same_bits_at_every_run_from_many_threads(files):
    estimate = flow.estimator("raft-small", files["raft-small"])
    pairs = [pair(64, 96), pair(96, 64), pair(70, 70)] * 2
    with ThreadPoolExecutor(3) as pool:
        at_once = list(pool.map(lambda pictures: estimate(*pictures), pairs))
    again = flow.estimator("raft-small", files["raft-small"])
    for pictures, motion in zip(pairs, at_once, strict=True):
        assert torch.equal(again(*pictures).flow, motion.flow)


def test_what_stands_still_stays_still_whatever_the_network_says(files):
    picture = pixels(texture(64, 96, seed=1))
    noise = np.random.default_rng(0)
    noisy = [(picture + noise.normal(0, 3, picture.shape)).clip(0, 255).astype(np.uint8) for _ in range(2)]
    estimate = flow.estimator("raft-small", files["raft-small"])
    assert np.abs(estimate.search(*noisy)[0]).mean() > 0.3
    assert estimate(*noisy).flow.abs().mean() < 0.01


def test_weights_are_known_by_what_is_in_them(files, tmp_path):
    state = untrained(raft.LARGE).state_dict()
    few = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    save_file(few, tmp_path / "same.safetensors")
    torch.save(untrained(raft.LARGE, seed=1).state_dict(), tmp_path / "other.pth")
    prints = [
        flow.estimator("raft", file).fingerprint
        for file in (files["raft"], tmp_path / "same.safetensors", tmp_path / "other.pth")
    ]
    assert prints[0] == prints[1] != prints[2]
    assert flow.estimator("dis").fingerprint == ""


def test_wrong_weights_are_a_sentence(files, weights, tmp_path):
    (tmp_path / "text.pth").write_text("no weights")
    for name, file, words in (
        ("raft", tmp_path / "none.pth", "there is no weights file"),
        ("raft", tmp_path / "text.pth", "cannot be read"),
        ("raft", weights, "has no 'feature_encoder"),
        ("raft", files["raft-small"], "has shape"),
        ("raft-small", files["raft"], "give a torchvision raft_small checkpoint"),
    ):
        with pytest.raises(WeightsError, match=words):
            flow.estimator(name, file)
    with pytest.raises(UsageError, match="--flow raft"):
        VideoSettings(flow_weights=str(files["raft"]))


def test_a_download_is_checked_and_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "raft_small-00000000.pth"
    kind = raft.SMALL._replace(url=path.as_uri())
    with pytest.raises(WeightsError, match=r"--flow-weights.*--flow dis"):
        raft.Raft(kind, None, CPU)
    path.write_bytes(b"not what was promised")
    with pytest.raises(WeightsError, match="hash"):
        raft.Raft(kind, None, CPU)


def test_a_download_is_a_note_and_no_bar(tmp_path, monkeypatch, caplog, capfd):
    """The library prints nothing; the command line shows notes, and with -q none."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    torch.save(untrained(raft.SMALL, seed=1).state_dict(), tmp_path / "raft_small.pth")
    digest = hashlib.sha256((tmp_path / "raft_small.pth").read_bytes()).hexdigest()
    path = (tmp_path / "raft_small.pth").rename(tmp_path / f"raft_small-{digest[:8]}.pth")
    kind = raft.SMALL._replace(url=path.as_uri())
    for _ in range(2):
        raft.Raft(kind, None, CPU)
    assert [record.message for record in caplog.records if record.name == "vidstyle.notes"] == [
        f"the RAFT weights are downloaded, once, from {path.as_uri()}"
    ]
    assert capfd.readouterr() == ("", "")


def test_too_little_memory_is_a_sentence(files, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError

    search = raft.Raft(raft.SMALL, files["raft-small"], CPU)
    search(*pair(64, 64))
    assert not search.network.corr_block.corr_pyramid  # nothing large is kept
    monkeypatch.setattr(search.network, "forward", full)
    with pytest.raises(MemoryLimitError, match=r"96x64 pixels.*--flow dis"):
        search(*pair(64, 96))


def test_a_clip_is_painted_along_it_and_its_weights_belong_to_the_job(files, network, tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", pan(3), rate=24)
    Image.fromarray(pixels(texture(64, 64, seed=2))).save(tmp_path / "style.png")
    torch.save(untrained(raft.SMALL, seed=1).state_dict(), tmp_path / "other.pth")

    def paint(file, *more, name="raft-small"):
        words = ["video", clip, tmp_path / "style.png", "-o", tmp_path / "out.mp4", "--network", network, "--size", 64]
        words += ["--first-iterations", 2, "--iterations", 2, "--device", "cpu", "--keep-job", "-y"]
        words += ["--flow", name, "--flow-weights", file, *more]
        return CliRunner().invoke(app, [str(word) for word in words])

    done = paint(files["raft-small"])
    assert done.exit_code == 0, done.output
    manifest = json.loads((tmp_path / "out.mp4.job" / "manifest.json").read_text())
    fingerprint = flow.estimator("raft-small", files["raft-small"]).fingerprint
    assert manifest["flow_weights"] == fingerprint
    assert files["raft-small"].name not in json.dumps(manifest["settings"])  # the metadata of outputs name it
    moved = files["raft-small"].rename(tmp_path / "moved.pth")
    try:
        assert paint(moved).exit_code == 0
    finally:
        moved.rename(files["raft-small"])
    other = paint(tmp_path / "other.pth")
    assert other.exit_code == 9 and "flow_weights was" in other.output
    assert paint(files["raft-small"], "--restart", name="raft").exit_code == 8
    assert paint(files["raft-small"], "--restart", name="dis").exit_code == 2


def test_a_plan_and_a_report_take_no_weights(files, tmp_path):
    from vidstyle.api import plan_video
    from vidstyle.lab.evaluate.report import _source

    clip = make_clip(tmp_path / "clip.mp4", pan(3), rate=24)
    settings = VideoSettings(size=64, flow="raft", flow_weights=str(tmp_path / "none.pth"))
    assert len(plan_video(clip, [clip], settings).times) == 3
    assert _source(clip, settings, 1).estimate.fingerprint == ""
    with pytest.raises(WeightsError):
        VideoSource(str(clip), settings, (1.0,))


@pytest.mark.cuda
def test_cuda_finds_what_the_cpu_finds_while_paintings_are_recorded(files):
    pictures, content = pair(64, 96), texture(96, 128, seed=1)
    expected = raft.Raft(raft.SMALL, files["raft-small"], CPU)(*pictures)
    search = raft.Raft(raft.SMALL, files["raft-small"], torch.device("cuda"))
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(search, *pictures) for _ in range(8)]
        for _ in range(3):  # each records anew
            settings = VideoSettings(device="cuda", first_iterations=10)
            stylizer = Stylizer(networks.compact(), [texture(96, 96, seed=2)], settings)
            stylizer.step(Frame(0, content, None, 0.3, (1.0,)), None)
    for flows in (future.result() for future in found):
        for one, first, other in zip(flows, found[0].result(), expected, strict=True):
            assert np.array_equal(one, first)
            assert np.allclose(one, other, rtol=0.01, atol=0.01)


@pytest.fixture
def real():
    """An estimator with real weights, where VIDSTYLE_RAFT names a file of one of the two networks."""
    path = os.environ.get("VIDSTYLE_RAFT", "")
    if not os.path.isfile(path):
        pytest.skip("VIDSTYLE_RAFT names no weights file")
    try:
        return flow.estimator("raft", path)
    except WeightsError:
        return flow.estimator("raft-small", path)


@pytest.mark.parametrize("shift", [(1.5, 0.75), (-6.25, 2.5), (40.5, -12.0)])
def test_real_weights_find_a_known_shift(real, samples, shift):
    """A photograph moved by parts of a pixel, and far."""
    photo = np.asarray(Image.open(samples / "harbor.jpg").resize((420, 280)).convert("RGB"))

    def seen(x, y):
        matrix = np.float32([[1, 0, x - 80], [0, 1, y - 60]])
        return cv2.warpAffine(photo, matrix, (256, 144), flags=cv2.INTER_CUBIC)

    motion = real(seen(0, 0), seen(*shift))
    error = (motion.flow + torch.tensor(shift).view(2, 1, 1)).norm(dim=0)
    visible = motion.visible[0] > 0.5
    assert visible.float().mean() > 0.6
    assert error[visible].mean() < 0.25 + 0.01 * abs(shift[0])


def test_real_weights_follow_what_dis_loses(real, samples):
    """A small thing that moves by half its width, against a background that moves the other way."""
    ground, thing = (Image.open(samples / f"{name}.jpg").convert("RGB") for name in ("valley", "harbor"))
    wide, thing = np.asarray(ground.resize((460, 260))), np.asarray(thing.resize((64, 48)))
    previous, current = wide[20:164, 36:292].copy(), wide[16:160, 20:276].copy()
    previous[48:96, 128:192], current[48:96, 96:160] = thing, thing
    truth = torch.tensor([32.0, 0.0]).view(2, 1, 1)
    errors = [
        (estimate(previous, current).flow - truth).norm(dim=0)[52:92, 100:156].mean()
        for estimate in (real, flow.estimator("dis"))
    ]
    assert errors[0] < 5 < 10 < errors[1]
