"""Regions: parts of a picture or of a clip with a style, an alpha and a scale of their own, painted in one pass."""

import copy
import dataclasses
import json

import numpy as np
import pytest
import torch
from clips import pan, texture
from conftest import pixels
from conftest import texture as noise
from maskfiles import FAST, half, paintings, saved, settings_for
from PIL import Image

from vidstyle import (
    BalanceSettings,
    ImageSettings,
    Region,
    RunOptions,
    VideoSettings,
    animate_balance,
    stylize,
    stylize_frames,
    stylize_image,
    stylize_video,
)
from vidstyle.core import losses, networks, objective
from vidstyle.core.regions import RegionStyle, grams_of_areas, moments_of_areas
from vidstyle.core.stylemetrics import gram, moments
from vidstyle.core.stylizer import Stylizer, seen_at
from vidstyle.errors import JobError, MediaError, UsageError
from vidstyle.jobs.sources.regions import layered, visible_regions
from vidstyle.settings import RegionFiles
from vidstyle.types import Frame, Motion


def weights(mask):
    """(H, W) uint8 -> (1, H, W) in [0, 1]."""
    return torch.from_numpy(mask / np.float32(255))[None]


@pytest.fixture
def files(tmp_path, network):
    for name, picture in {
        "photo": texture(96, 64, 1),
        "style": texture(48, 48, 2),
        "other": texture(48, 32, 3),
        "mask": half(64, 96, 48),
        "part": half(32, 48, 24),
        "right": 255 - half(64, 96, 40),
        "square": half(64, 64, 20),
        "black": half(64, 96, 0),
        "dot": np.pad(np.full((2, 2), 255, np.uint8), ((0, 62), (0, 94))),
    }.items():
        saved(tmp_path / f"{name}.png", picture)
    return tmp_path


class TestText:
    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("m.png=s.jpg", RegionFiles("m.png", "s.jpg")),
            ("m.png=s.jpg,alpha=.2", RegionFiles("m.png", "s.jpg", alpha=0.2)),
            ("a,b.png=c,d.jpg#p.png, scale=2,alpha=0", RegionFiles("a,b.png", "c,d.jpg", "p.png", 0, 2)),
        ],
    )
    def test_it_is_read_and_written(self, text, wanted):
        assert RegionFiles.parsed(text) == wanted == RegionFiles.parsed(str(wanted))

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            *((text, "give MASK=STYLE") for text in ("", "m.png", "=s.png", "m.png=", "m.png=s.png#", "a=b=c")),
            ("m.png=s.png,alpha=2", "alpha 2"),
            ("m.png=s.png,scale=0", "scale 0"),
        ],
    )
    def test_what_is_malformed_is_refused(self, text, words):
        with pytest.raises(UsageError, match=words):
            ImageSettings(region=(text,))


class TestStatistics:
    @pytest.mark.parametrize(("of_areas", "of_one"), [(grams_of_areas, gram), (moments_of_areas, moments)])
    @pytest.mark.parametrize(("kind", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
    def test_each_area_is_as_it_is_alone(self, of_areas, of_one, kind, tolerance):
        """With borders across rows and columns, an overlap, and an area that is empty."""
        generator = torch.Generator().manual_seed(0)
        features = torch.randn(1, 5, 12, 10, generator=generator).to(kind).to(memory_format=torch.channels_last)
        areas = torch.zeros(4, 12, 10)
        areas[0, :7], areas[1, :, 6:], areas[2, 3:5, 2:4] = 1, torch.rand(12, 4, generator=generator), 0.5
        each = [losses.pooled(one[None, None], 0).view(-1, 1) for one in areas]
        seen, alone = (features.detach().clone().requires_grad_() for _ in range(2))
        found = of_areas(seen, torch.cat(each, dim=1))
        wanted = torch.stack([of_one(alone, one) for one in each])
        assert torch.allclose(found, wanted, atol=tolerance)
        outer = torch.randn(found.shape, generator=generator)
        (gradient,), (other,) = (
            torch.autograd.grad((one * outer).sum(), x) for one, x in ((found, seen), (wanted, alone))
        )
        assert torch.allclose(gradient.float(), other.float(), atol=4 * tolerance)

    def test_bands_see_what_the_whole_shows(self):
        torch.manual_seed(0)
        network = networks.FeatureNetwork(((4, 5), (6, 6), (8,))).requires_grad_(False)
        image, areas = torch.rand(1, 3, 66, 20).requires_grad_(), torch.rand(3, 1, 1, 66, 20)
        taps = [
            networks.Tap(
                layer,
                moments_of_areas,
                losses.joined_means,
                torch.stack([losses.pooled(one, halvings)[0, 0] for one in areas], dim=2),
            )
            for layer, halvings in (("relu1_1", 0), ("relu2_1", 1), ("relu3_1", 2))
        ]
        found = []
        for low_memory in (False, True):
            seen = network.tapped(image, taps, low_memory=low_memory)
            found.append([*seen, *torch.autograd.grad(sum(one.square().sum() for one in seen), image)])
        for one, other in zip(*found, strict=True):
            assert torch.allclose(one, other, rtol=1e-3, atol=1e-5)

    def test_layers_need_a_position(self):
        layers = ("relu1_1", "relu2_1", "relu3_1")
        assert seen_at(4, ImageSettings(style_layers=layers)) == [True, True, False]


class TestLayers:
    def test_a_later_one_lies_on_top_and_grey_is_shared(self):
        first, second = half(8, 8, 6), 255 - half(8, 8, 4)
        below, above = layered([first, second], 8, 8, 0)
        assert below[0, 0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
        assert above[0, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
        grey = np.full((8, 8), 128, np.uint8)
        both = layered([grey, 255 - grey], 8, 8, 0)
        assert torch.allclose(sum(both), torch.ones(1, 8, 8), atol=0.01)
        assert float((both[0] - both[1]).abs().max()) < 0.01

    def test_a_border_is_blurred_evenly_on_both_sides(self):
        found = layered([half(64, 64, 32)], 64, 64, 8)[0][0, 5]
        assert torch.allclose(found + found.flip(0), torch.ones(64), atol=0.01)
        assert 0 < found[34] < found[29] < 1
        assert (found[:10] == 1).all()
        assert (found[-10:] == 0).all()

    def test_what_was_painted_in_another_style_is_not_seen(self):
        motion = Motion(torch.stack([torch.full((8, 12), -2.0), torch.zeros(8, 12)]), torch.ones(1, 8, 12))
        region = (weights(half(8, 12, 6)),)
        seen = visible_regions(motion, region, region).visible  # what moves to the right leaves the region
        assert torch.equal(seen[0, 3], torch.tensor([1.0] * 6 + [0.0] * 2 + [1.0] * 4))
        assert visible_regions(motion, (), ()) is motion


VARIANTS = {
    "defaults": {},
    "gram": {"style_metric": "gram"},
    "in bands": {"low_memory": True},
    "bfloat16": {"precision": "bfloat16"},
    "Adam": {"optimizer": "adam"},
    "blog": {"objective": "blog"},
    "equal details": {"content_focus": 0.0},
    "without smoothing": {"tv_weight": 0.0},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_one_region_that_is_everything_is_painted_as_without(tiny_network, style, name):
    """In its style, at its alpha and scale: the loss and its gradient are those of a picture wholly in that style."""
    picture, settings = noise(64, 96, seed=1), ImageSettings(**{**FAST, **VARIANTS[name]})
    other, whole = style.flip(0), torch.ones(1, 64, 96)
    alone = Stylizer(tiny_network, [other], dataclasses.replace(settings, style_scale=0.7))
    region = Stylizer(tiny_network, [style], settings, regions=[RegionStyle(other, alpha=0.3, scale=0.7)])
    start = noise(64, 96, seed=5)[None]
    found = []
    for stylizer, frame in (
        (alone, Frame(0, picture, None, 0.3, (1.0,))),
        (region, Frame(0, picture, None, 0.8, (1.0,), regions=(whole,))),
    ):
        x = start.clone().requires_grad_()
        total, terms = stylizer.objective(frame)(x)
        found.append((total.detach(), terms.detach(), torch.autograd.grad(total, x)[0]))
    rough = 0.05 if name == "bfloat16" else 1e-3
    for one, two in zip(*found, strict=True):
        assert float((one - two).norm() / one.norm()) < rough


def test_regions_that_divide_a_style_are_all_its(tiny_network, picture, style):
    """The loss of an alpha of 1 in a region is the content's there: what is the content stays in it."""
    mask = weights(half(72, 96, 48))
    stylizer = Stylizer(tiny_network, [style], ImageSettings(**FAST), regions=[RegionStyle(style.flip(0), alpha=1.0)])
    found = stylizer.step(Frame(0, picture, None, 0.0, (1.0,), regions=(mask,)), None)[0].image.astype(int)
    change = np.abs(found - pixels(picture))
    assert change[:, :30].mean() < change[:, 60:].mean() / 3


def test_regions_lie_under_the_mask_and_keep_colours(tiny_network, picture, style):
    mask, region = weights(half(72, 96, 60)), weights(half(72, 96, 30))
    stylizer = Stylizer(tiny_network, [style, style.flip(2)], ImageSettings(**FAST), regions=[RegionStyle(style)])
    frame = Frame(0, picture, None, 0.2, (0.5, 0.5), preserve_color=0.5, mask=mask, regions=(region,))
    found = stylizer.step(frame, None)[0].image
    assert np.array_equal(found[:, 60:], pixels(picture)[:, 60:])
    assert np.abs(found[:, :55].astype(int) - pixels(picture)[:, :55]).mean() > 4


def test_a_small_region_and_none_of_the_rest_still_paint(tiny_network, picture, style):
    stylizer = Stylizer(tiny_network, [style], ImageSettings(**FAST), regions=[RegionStyle(style)] * 2)
    dot, rest = torch.zeros(1, 72, 96), torch.ones(1, 72, 96)
    dot[:, 3, 3], rest[:, 3, 3] = 1, 0
    for regions in ((dot, rest), (torch.zeros(1, 72, 96), rest)):
        result, _ = stylizer.step(Frame(0, picture, None, 0.2, (1.0,), regions=regions), None)
        assert all(np.isfinite(value) for value in result.losses.values())


def test_its_gram_matrix_is_that_of_its_style(tiny_network, style):
    """Each half comes nearer to its own style than to the other one's, and than it would without regions."""
    picture, left = noise(64, 96, seed=1), weights(half(64, 96, 48))
    other = 1 - style.flip(1)
    settings = ImageSettings(**{**FAST, "first_iterations": 40}, style_layers=("relu1_1", "relu2_1"))

    def distance(painted, area, wanted):
        with torch.no_grad():
            seen = tiny_network(painted[None], ["relu2_1"])["relu2_1"]
            there = tiny_network(wanted[None], ["relu2_1"])["relu2_1"]
        return float((gram(seen, losses.pooled(area[None], 1).view(-1, 1)) - gram(there)).norm())

    regions = Stylizer(tiny_network, [other], settings, regions=[RegionStyle(style)])
    both = regions.step(Frame(0, picture, None, 0.0, (1.0,), regions=(left,)), None)[1].pastiche
    alone = Stylizer(tiny_network, [other], settings).step(Frame(0, picture, None, 0.0, (1.0,)), None)[1].pastiche
    assert distance(both, left, style) < distance(both, left, other)
    assert distance(both, 1 - left, other) < distance(both, 1 - left, style)
    assert distance(both, left, style) < distance(alone, left, style)


def test_a_still_its_settings_and_the_same_from_arrays(files, vidstyle):
    text = f"{files}/mask.png={files}/other.png#{files}/part.png,alpha=.1,scale=.5"
    out = files / "o.png"
    settings = settings_for(files, ImageSettings, region=(text,))
    stylize_image(files / "photo.png", [files / "style.png"], out, settings)
    found = np.asarray(Image.open(out))
    region = Region(mask=half(64, 96, 48), style=texture(48, 32, 3), style_mask=half(32, 48, 24), alpha=0.1, scale=0.5)
    plain = dataclasses.replace(settings, region=())
    assert np.array_equal(stylize(texture(96, 64, 1), [texture(48, 48, 2)], plain, regions=[region]), found)
    shown = vidstyle("show", out).output
    assert "--region 'mask.png=other.png#part.png,alpha=0.1,scale=0.5'" in shown
    assert "SHA-256 of region 1 style mask" in shown
    with pytest.raises(UsageError, match=r"ImageSettings\.region"):
        stylize(texture(96, 64, 1), [texture(48, 48, 2)], settings)


@pytest.mark.clips
@pytest.mark.parametrize("space", ["linear", "even"])
def test_an_animation(files, space):
    """A region whose alpha is 1 keeps the content; the rest runs through the balance."""
    region = f"{files}/mask.png={files}/other.png,alpha=1"
    settings = settings_for(files, BalanceSettings, region=(region,), seconds=1, fps=4, space=space)
    animate_balance(files / "photo.png", [files / "style.png"], f"{files}/out/", settings)
    frames = [frame.astype(int) for frame in paintings(files / "out")]
    change = np.abs(frames[2] - frames[0])
    assert change[:, :30].mean() < change[:, 60:].mean() / 3


class Stop(Exception):
    pass


@pytest.fixture
def clip(files):
    """A folder of frames, and one of masks of a region that moves to the right and is absent from one frame."""
    for name in ("clip", "masks"):
        (files / name).mkdir()
    for number, frame in enumerate(pan(4, 96, 64)):
        saved(files / "clip" / f"{number}.png", frame)
        saved(files / "masks" / f"{number}.png", np.roll(half(64, 96, 40), 12 * number, 1) * (number != 2))
    return files / "clip"


@pytest.mark.clips
class TestClip:
    def test_interrupted_it_goes_on_with_the_same_bytes_and_arrays_give_them_too(self, files, clip):
        text = f"{files}/masks={files}/other.png,alpha=.2"
        settings = settings_for(files, VideoSettings, region=(text,), temporal_weight=0.5, loop=True)
        stylize_video(clip, [files / "style.png"], f"{files}/whole/", settings)
        for frame in range(3):

            def stop(result, total, frame=frame):
                if result.index == frame:
                    raise Stop

            with pytest.raises(Stop):
                stylize_video(clip, [files / "style.png"], f"{files}/out/", settings, RunOptions(on_frame=stop))
        for other in (f"{files}/mask.png={files}/other.png,alpha=.2", f"{files}/masks={files}/other.png,alpha=.3"):
            changed = dataclasses.replace(settings, region=(other,))
            with pytest.raises(JobError, match="region"):
                stylize_video(clip, [files / "style.png"], f"{files}/out/", changed)
        stylize_video(clip, [files / "style.png"], f"{files}/out/", settings)
        found = paintings(files / "out")
        assert all(map(np.array_equal, found, paintings(files / "whole")))
        masks = [np.asarray(Image.open(path)) for path in sorted((files / "masks").iterdir())]
        region, plain = (
            Region(mask=masks, style=texture(48, 32, 3), alpha=0.2),
            dataclasses.replace(settings, region=()),
        )
        arrays = stylize_frames(list(pan(4, 96, 64)), [texture(48, 48, 2)], plain, regions=[region])
        assert all(map(np.array_equal, arrays, found))


@pytest.mark.clips
def test_a_report_paints_them_in_independent_frames_too(files, clip, vidstyle):
    region = f"{files}/masks={files}/other.png"
    options = ("--network", files / "tiny.safetensors", "--size", 64, "--first-iterations", 3, "--iterations", 2)
    paths = (clip, files / "style.png", "-o", files / "r.mp4", "--region", region, "--region", region)
    done = vidstyle("video", *paths, *options, "--device", "cpu", "--report")
    assert done.exit_code == 0, done.output
    assert json.loads((files / "r.report.json").read_text())["command"].count("--region ") == 2


def test_what_is_noteworthy_is_said_once(files, vidstyle):
    def notes(*regions):
        options = [word for one in regions for word in ("--region", one)]
        network = ("--network", files / "tiny.safetensors", "--first-iterations", "1", "--device", "cpu", "-y")
        done = vidstyle("image", files / "photo.png", files / "style.png", "-o", files / "n.png", *options, *network)
        assert done.exit_code == 0, done.output
        return done.output

    left, right = (f"{files}/{name}.png={files}/other.png" for name in ("mask", "right"))
    assert notes(left, right).count("regions overlap") == 1
    assert "overlap" not in notes(left)
    dot = notes(f"{files}/dot.png={files}/other.png")
    assert dot.count("region 1 is smaller than a position of") == 1


REFUSED = {
    "another shape": ("square.png=other.png", "64x64 pixels, and what is painted 96x64", 3),
    "black": ("black.png=other.png", "black everywhere", 3),
    "no mask there": ("nothing.png=other.png", "nothing.png", 3),
    "no style there": ("mask.png=nothing.png", "nothing.png", 3),
    "a style's mask of another shape": ("mask.png=other.png#square.png", "64x64 pixels, and the style 48x32", 3),
    "no style": ("mask.png", "give MASK=STYLE", 2),
    "another length": ("masks=other.png", "3 frames, and 4 are painted", 3),
}


@pytest.mark.clips
@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("command", ["image", "video"])
def test_a_bad_region_is_refused_in_a_sentence(vidstyle, files, clip, name, command, monkeypatch):
    text, words, code = REFUSED[name]
    (files / "masks" / "3.png").unlink()
    monkeypatch.chdir(files)
    if (command, name) == ("image", "another length"):
        words = "give one picture"
    content, out = ("photo.png", "out.png") if command == "image" else ("clip", "out/")
    done = vidstyle(command, content, "style.png", "-o", out, "--region", text, "--device", "cpu")
    assert done.exit_code == code, done.output
    assert words in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not list(files.glob("out*"))


def test_a_region_that_is_hidden_is_refused(files):
    regions = tuple(f"{files}/mask.png={files}/{name}.png" for name in ("other", "style"))
    settings = settings_for(files, ImageSettings, region=regions)
    with pytest.raises(MediaError, match="region 1 is hidden"):
        stylize_image(files / "photo.png", [files / "style.png"], files / "o.png", settings)


def test_a_batch_reads_its_files_from_beside_the_table(files, vidstyle, monkeypatch):
    (files / "jobs.toml").write_text(
        '[[job]]\njob = "image"\ncontent = "photo.png"\nstyles = "style.png"\noutput = "b.png"\nsize = 96\n'
        'network = "tiny.safetensors"\nfirst-iterations = 4\ndevice = "cpu"\nprecision = "float32"\n'
        'region = "mask.png=other.png,alpha=.1"\n'
    )
    (files / "elsewhere").mkdir()
    monkeypatch.chdir(files / "elsewhere")
    done = vidstyle("batch", files / "jobs.toml")
    assert done.exit_code == 0, done.output
    settings = settings_for(files, ImageSettings, region=(f"{files}/mask.png={files}/other.png,alpha=.1",))
    stylize_image(files / "photo.png", [files / "style.png"], files / "o.png", settings)
    assert np.array_equal(*(np.asarray(Image.open(files / name)) for name in ("b.png", "o.png")))
    assert "up to date" in vidstyle("batch", files / "jobs.toml").output


def test_nothing_waits_for_the_device(tiny_network):
    """On the meta device whatever looks at a value, or leaves a tensor on the CPU, raises."""
    meta = torch.device("meta")
    network = copy.deepcopy(tiny_network).to(meta)
    settings = ImageSettings(style_metric="gram")
    readouts = {layer: each.to(meta) for layer, each in network.readouts.items()}
    extract = objective.FeatureExtractor(network, settings, readouts)
    image, mask = torch.zeros(1, 3, 64, 96, device=meta), torch.zeros(1, 1, 64, 96, device=meta)
    style = losses.StyleTarget.of(extract.metric, extract.statistics(image, readouts)[1], readouts)
    loss = objective.Objective(extract, image, masked=True, areas=2)
    areas = [objective.Area(style, alpha, mask, 0.5, [True] * 4 + [False]) for alpha in (0.2, 0.7)]
    for _ in range(2):  # the second time in place
        loss.set_frame(image, areas, 0.1, image, mask, mask)
    x = image.clone().requires_grad_()
    assert torch.autograd.grad(loss(x)[0], x)[0].is_meta


@pytest.mark.cuda
def test_recordings_hold_for_every_region(tiny_network, picture, style):
    regions = [(weights(half(72, 96, columns)),) for columns in (20, 50, 0, 80)]
    found = {}
    for graphs in (False, True):
        settings = VideoSettings(first_iterations=8, iterations=8, device="cuda", cuda_graphs=graphs)
        stylizer = Stylizer(tiny_network, [style], settings, regions=[RegionStyle(style.flip(0), alpha=0.1)])
        still = Motion(torch.zeros(2, 72, 96), torch.ones(1, 72, 96))
        state, found[graphs] = None, []
        for index, region in enumerate(regions * 2):
            frame = Frame(index, picture, still if index else None, 0.3, (1.0,), temporal_weight=0.1, regions=region)
            result, state = stylizer.step(frame, state)
            found[graphs].append(result.image)
    assert all(map(np.array_equal, found[True], found[False]))
