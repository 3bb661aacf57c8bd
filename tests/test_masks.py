"""Masks: where they are white it is painted, elsewhere the content stays, and nothing outside counts in the losses."""

import dataclasses
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from clips import make_clip, pan, texture
from conftest import pixels
from conftest import texture as noise
from maskfiles import FAST, half, paintings, saved, settings_for
from PIL import Image

from vidstyle import (
    BalanceSettings,
    ImageSettings,
    RunOptions,
    VideoSettings,
    animate_balance,
    encode_job,
    stylize,
    stylize_frames,
    stylize_image,
    stylize_video,
)
from vidstyle.core import losses, networks, objective
from vidstyle.core.stylemetrics import gram, moments
from vidstyle.core.stylizer import Stylizer
from vidstyle.errors import JobError, MediaError, UsageError
from vidstyle.jobs.arrays import ArraySequence
from vidstyle.jobs.sources.clips import SequenceSource
from vidstyle.jobs.sources.masks import array_masks, fitted, visible_paint
from vidstyle.media.stills.pictures import load_mask
from vidstyle.types import ClipInfo, Frame, Motion


@pytest.fixture
def files(tmp_path, network):
    saved(tmp_path / "photo.png", texture(96, 64, 1))
    saved(tmp_path / "style.png", texture(48, 48, 2))
    saved(tmp_path / "mask.png", half(64, 96, 48))
    return tmp_path


class TestStatistics:
    @pytest.mark.parametrize("statistic", [gram, moments])
    @pytest.mark.parametrize(("kind", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
    def test_a_weight_counts_as_that_many_positions(self, statistic, kind, tolerance):
        features = torch.randn(1, 5, 2, 6, generator=torch.Generator().manual_seed(0)).to(kind)
        counts = torch.tensor([0, 1, 2, 0, 0, 3, 1, 1, 0, 2, 0, 2])
        several = features.flatten(2).repeat_interleave(counts, dim=2)[:, :, None]
        weights = (counts.float() / counts.float().mean())[:, None]
        seen, repeated = (one.detach().requires_grad_() for one in (features, several))
        found, wanted = statistic(seen, weights), statistic(repeated)
        assert torch.allclose(found, wanted, atol=tolerance)
        generator = torch.Generator().manual_seed(1)
        outer = torch.randn(found.shape, generator=generator)
        (gradient,) = torch.autograd.grad((found * outer).sum(), seen)
        (each,) = torch.autograd.grad((wanted * outer).sum(), repeated)
        places = torch.arange(12).repeat_interleave(counts)
        summed = torch.zeros(5, 12).index_add(1, places, each[0, :, 0].float())
        assert torch.allclose(gradient.float().view(5, 12), summed, atol=4 * tolerance)

    @pytest.mark.parametrize("height", [37, 64, 66])
    def test_bands_see_what_the_whole_shows(self, height):
        torch.manual_seed(0)
        network = networks.FeatureNetwork(((4, 5), (6, 6), (8,))).requires_grad_(False).double()
        image, mask = torch.rand(1, 3, height, 20).double().requires_grad_(), torch.rand(1, 1, height, 20)
        taps = [
            networks.Tap(layer, moments, losses.joined_means, losses.pooled(mask, halvings)[0, 0])
            for layer, halvings in (("relu1_1", 0), ("conv1_2", 0), ("relu2_1", 1), ("relu3_1", 2))
        ]
        found = []
        for low_memory in (False, True):
            seen = network.tapped(image, taps, low_memory=low_memory)
            found.append([*seen, *torch.autograd.grad(sum(one.square().sum() for one in seen), image)])
        for one, other in zip(*found, strict=True):
            assert torch.allclose(one.float(), other.float(), rtol=1e-4, atol=1e-6)

    def test_a_mask_is_pooled_to_weights_of_mean_one(self):
        mask = torch.zeros(1, 1, 6, 9)
        mask[..., :4] = 1
        assert torch.equal(losses.pooled(mask, 0)[0, 0, 0], torch.tensor([9 / 4] * 4 + [0.0] * 5))
        assert torch.allclose(losses.pooled(mask, 1)[0, 0], torch.tensor([[2.0, 2, 0, 0]] * 3))
        assert torch.equal(losses.pooled(torch.zeros(1, 1, 8, 8), 3), torch.zeros(1, 1, 1, 1))

    def test_details_count_beside_others_under_the_mask(self):
        features, counts = torch.randn(600, 3), torch.zeros(20, 30)
        counts[:, :15] = 2
        weights = losses.detail_weights(features, (20, 30), 1.0, counts.view(-1, 1)).view(20, 30)
        assert float(weights.mean()) == pytest.approx(1, rel=1e-5)
        assert not weights[:, 15:].any()
        ones = losses.detail_weights(features, (20, 30), 1.0, torch.ones(600, 1))
        assert torch.allclose(ones, losses.detail_weights(features, (20, 30), 1.0))

    def test_total_variation_counts_pairs_by_their_first_pixel(self):
        stripes = torch.zeros(1, 3, 4, 6)
        stripes[..., 1::2] = 0.1
        weights = torch.zeros(1, 1, 4, 6)
        weights[..., :3] = 2
        assert float(losses.total_variation(stripes, weights)) == pytest.approx(2 * 3 / 5, rel=1e-4)


@pytest.mark.parametrize("changes", [{}, {"style_metric": "gram"}, {"objective": "blog"}, {"low_memory": True}])
def test_what_lies_far_outside_counts_nothing(tiny_network, picture, style, changes):
    shallow = {"style_layers": ("relu1_1", "relu2_1"), "content_layers": ("relu2_1",), "coarse_to_fine": False}
    settings = ImageSettings(**FAST, **shallow, **changes)
    stylizer = Stylizer(tiny_network, [style], settings)
    mask = torch.from_numpy(half(72, 96, 40) / np.float32(255))[None]
    loss = stylizer.objective(Frame(0, picture, None, 0.4, (1.0,), mask=mask))
    assert isinstance(loss, objective.Objective)
    start = picture[None].clone()
    start[..., :20] = 0.3
    outside, inside = start.clone(), start.clone()
    outside[..., 60:], inside[..., 20:30] = 0, 0
    first, far, near = (float(loss(one)[0]) for one in (start, outside, inside))
    assert far == pytest.approx(first, rel=1e-5)
    assert abs(near - first) > 0.01 * first


VARIANTS = {
    "defaults": {},
    "gram": {"style_metric": "gram"},
    "in bands": {"low_memory": True},
    "bfloat16": {"precision": "bfloat16"},
    "Adam": {"optimizer": "adam"},
    "blog": {"objective": "blog"},
    "equal details": {"content_focus": 0.0},
    "colours kept": {},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_picture_is_painted_inside_and_stays_outside(tiny_network, style, name):
    picture = noise(96, 160, seed=1)
    settings = ImageSettings(**{**FAST, **VARIANTS[name]})
    stylizer = Stylizer(tiny_network, [style, style.flip(0)], settings)
    mask = fitted(half(96, 160, 80), 160, 96, 4)
    frame = Frame(0, picture, None, 0.2, (0.3, 0.7), preserve_color=0.5 * (name == "colours kept"), mask=mask)
    found, own = stylizer.step(frame, None)[0].image, pixels(picture)
    assert np.array_equal(found[:, 80:], own[:, 80:])
    assert np.abs(found[:, :75].astype(int) - own[:, :75]).mean() > 4
    nothing = dataclasses.replace(frame, mask=torch.zeros(1, 96, 160))
    assert np.array_equal(stylizer.step(nothing, None)[0].image, own)
    again = stylizer.step(dataclasses.replace(frame, mask=None), None)[0].image  # masks leave nothing behind
    assert np.array_equal(again, Stylizer(tiny_network, stylizer.styles, settings).step(
        dataclasses.replace(frame, mask=None), None)[0].image)  # fmt: skip


def test_a_small_mask_has_no_deep_layers_and_still_paints(tiny_network, picture, style):
    mask = torch.zeros(1, 72, 96)
    mask[:, 70:, 94:] = 1
    stylizer = Stylizer(tiny_network, [style], ImageSettings(**FAST))
    result, _ = stylizer.step(Frame(0, picture, None, 0.2, (1.0,), mask=mask), None)
    assert all(np.isfinite(value) for value in result.losses.values())


def test_grey_paints_in_part(tiny_network, picture, style):
    """A mask of one grey blends what is painted without it."""
    stylizer = Stylizer(tiny_network, [style], ImageSettings(**FAST))
    whole, part = (
        stylizer.step(Frame(0, picture, None, 0.2, (1.0,), mask=mask), None)[0].image.astype(float)
        for mask in (None, torch.full((1, 72, 96), 0.25))
    )
    assert np.abs(part - (0.75 * pixels(picture) + 0.25 * whole)).mean() < 1


@pytest.mark.cuda
def test_recordings_hold_for_every_mask(tiny_network, picture, style):
    masks = [fitted(half(72, 96, columns), 96, 72, 4) for columns in (20, 50, 80)] + [None]
    found = {}
    for graphs in (False, True):
        settings = VideoSettings(first_iterations=8, iterations=8, device="cuda", cuda_graphs=graphs)
        stylizer, state, found[graphs] = Stylizer(tiny_network, [style], settings), None, []
        still = Motion(torch.zeros(2, 72, 96), torch.ones(1, 72, 96))
        for index, mask in enumerate(masks * 2):
            frame = Frame(index, picture, still if index else None, 0.3, (1.0,), temporal_weight=0.1, mask=mask)
            result, state = stylizer.step(frame, state)
            found[graphs].append(result.image)
    assert all(map(np.array_equal, found[True], found[False]))


class TestFitting:
    def test_the_feather_lies_inside(self):
        mask = np.zeros((40, 40), np.uint8)
        mask[10:30, 10:30] = 255
        weights = fitted(mask, 40, 40, 4)[0].numpy()
        assert not weights[mask == 0].any()
        assert np.allclose(weights[20, 10:16], [0.2, 0.4, 0.6, 0.8, 1, 1])
        assert np.array_equal(fitted(mask, 40, 40, 0)[0].numpy(), mask / np.float32(255))
        assert not fitted(half(40, 40, 20), 40, 40, 4)[0, 0, 0] < 1  # the border of the picture is none of the mask

    def test_white_is_no_mask(self):
        assert fitted(np.full((8, 12), 255, np.uint8), 24, 16, 4) is None
        assert fitted(np.full((9, 13), 255, np.uint8), 6, 4, 4) is None

    def test_what_was_not_painted_is_not_seen(self):
        motion = Motion(torch.stack([torch.full((8, 12), -2.0), torch.zeros(8, 12)]), torch.ones(1, 8, 12))
        mask = torch.from_numpy(half(8, 12, 6) / np.float32(255))[None] / 3
        seen = visible_paint(motion, mask).visible
        assert torch.equal(seen[0, 3], torch.tensor([1.0] * 8 + [0.0] * 4))
        assert visible_paint(motion, None) is motion


class TestReading:
    def test_luma_of_an_opaque_picture(self, tmp_path):
        colors = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0]]], np.uint8)
        assert load_mask(saved(tmp_path / "a.png", colors)).tolist() == [[255, 0, 54, 182]]
        opaque = np.dstack([colors, np.full((1, 4), 255, np.uint8)])
        assert load_mask(saved(tmp_path / "b.png", opaque)).tolist() == [[255, 0, 54, 182]]

    def test_opacity_of_a_transparent_one(self, tmp_path):
        picture = np.zeros((1, 3, 4), np.uint8)
        picture[0, :, 3] = 255, 128, 0
        assert load_mask(saved(tmp_path / "a.png", picture)).tolist() == [[255, 128, 0]]

    def test_it_is_upright(self, tmp_path):
        image = Image.fromarray(half(2, 3, 1))
        exif = image.getexif()
        exif[0x0112] = 6  # turned to the right
        image.save(tmp_path / "a.png", exif=exif)
        assert load_mask(tmp_path / "a.png").tolist() == [[255, 255], [0, 0], [0, 0]]


def test_a_still_in_8_and_16_bits(files):
    settings = settings_for(files, ImageSettings, mask=str(files / "mask.png"))
    own = texture(96, 64, 1)
    for bits, unit in ((8, 1), (16, 257)):
        out = files / f"{bits}.png"
        stylize_image(files / "photo.png", [files / "style.png"], out, dataclasses.replace(settings, bits=bits))
        found = cv2.imread(str(out), cv2.IMREAD_UNCHANGED)[..., ::-1]
        assert np.array_equal(found[:, 48:], own[:, 48:].astype(found.dtype) * unit)
        assert np.abs(found[:, :40] / unit - own[:, :40]).mean() > 4
    array = stylize(own, [texture(48, 48, 2)], dataclasses.replace(settings, mask=None), mask=half(64, 96, 48))
    assert np.array_equal(array, np.asarray(Image.open(files / "8.png")))


@pytest.mark.clips
@pytest.mark.parametrize("space", ["linear", "even"])
def test_an_animation(files, space):
    settings = settings_for(files, BalanceSettings, mask=str(files / "mask.png"), seconds=1, fps=4, space=space)
    animate_balance(files / "photo.png", [files / "style.png"], f"{files}/out/", settings)
    frames = paintings(files / "out")
    assert len(frames) == 4
    assert all(np.array_equal(frame[:, 48:], texture(96, 64, 1)[:, 48:]) for frame in frames)
    assert not np.array_equal(frames[0][:, :40], frames[2][:, :40])


class Stop(Exception):
    pass


@pytest.fixture
def clip(files):
    """A folder of frames, and one of masks that moves to the right, is black in one frame and white in the last."""
    for name in ("clip", "masks"):
        (files / name).mkdir()
    for number, frame in enumerate(pan(5, 96, 64)):
        saved(files / "clip" / f"{number}.png", frame)
        mask = np.full((64, 96), 255, np.uint8) if number == 4 else np.roll(half(64, 96, 40), 12 * number, 1)
        saved(files / "masks" / f"{number}.png", mask * (number != 2))
    return files / "clip"


@pytest.mark.clips
class TestClip:
    @pytest.mark.slow
    def test_interrupted_after_every_frame_it_goes_on_with_the_same_bytes(self, files, clip):
        settings = settings_for(files, mask=str(files / "masks"), temporal_weight=0.5, loop=True)
        whole = stylize_video(clip, [files / "style.png"], f"{files}/whole/", settings, RunOptions(keep_job=True))
        for frame in range(4):

            def stop(result, total, frame=frame):
                if result.index == frame:
                    raise Stop

            with pytest.raises(Stop):
                stylize_video(clip, [files / "style.png"], f"{files}/out/", settings, RunOptions(on_frame=stop))
        other = dataclasses.replace(settings, mask=str(files / "mask.png"))
        with pytest.raises(JobError, match="mask"):
            stylize_video(clip, [files / "style.png"], f"{files}/out/", other)
        stylize_video(clip, [files / "style.png"], f"{files}/out/", settings)
        found = paintings(files / "out")
        assert all(map(np.array_equal, found, paintings(whole)))
        for number, (painted, content) in enumerate(zip(found, paintings(clip), strict=True)):
            mask = np.asarray(Image.open(files / "masks" / f"{number}.png"))
            assert np.array_equal(painted[mask == 0], content[mask == 0])
            assert number == 2 or np.abs(painted.astype(int) - content)[mask > 0].mean() > 4
        encode_job(f"{files}/whole.job", f"{files}/again/")
        assert all(map(np.array_equal, paintings(files / "again"), found))

    def test_arrays_are_painted_as_files(self, files, clip):
        settings = settings_for(files, mask=str(files / "masks"))
        stylize_video(clip, [files / "style.png"], f"{files}/out/", settings)
        given = [np.asarray(Image.open(path)) for path in sorted((files / "masks").iterdir())]
        plain = dataclasses.replace(settings, mask=None)
        found = stylize_frames(list(pan(5, 96, 64)), [texture(48, 48, 2)], plain, masks=given)
        assert all(map(np.array_equal, found, paintings(files / "out")))

    def test_white_is_the_same_as_none(self, files, clip):
        saved(files / "white.png", np.full((32, 48), 255, np.uint8))
        found = []
        for name, mask in (("white", str(files / "white.png")), ("none", None)):
            stylize_video(clip, [files / "style.png"], f"{files}/{name}/", settings_for(files, mask=mask))
            found.append(paintings(files / name))
        assert all(map(np.array_equal, *found))

    def test_a_clip_of_masks_and_a_part_of_it(self, files, clip):
        masks = [np.dstack([half(64, 96, 24 + 8 * number)] * 3) for number in range(5)]
        make_clip(files / "masks.mp4", masks, options={"crf": "30"})
        settings = settings_for(files, mask=str(files / "masks.mp4"), feather=0, input_fps=10)
        painted = {}
        for name, start in (("whole", 0), ("part", 0.2)):
            part = dataclasses.replace(settings, start=start)
            stylize_video(clip, [files / "style.png"], f"{files}/{name}/", part)
            painted[name] = paintings(files / name)
        assert [len(painted[name]) for name in painted] == [5, 3]
        for number, (found, content) in enumerate(zip(painted["whole"], paintings(clip), strict=True)):
            columns = np.abs(found.astype(int) - content).max((0, 2)) > 0
            assert columns[: 20 + 8 * number].all()
            assert not columns[28 + 8 * number :].any()  # as black as before it was encoded
        last, content = painted["part"][2], paintings(clip)[4]
        assert np.abs(last.astype(int) - content)[:, 28:50].any(2).any(0).all()

    def test_what_enters_the_mask_starts_from_the_content(self, files):
        """Nothing that was content is taken for a painting: where nothing was painted before, nothing is seen."""
        still = [texture(96, 64, 1)] * 3
        masks = [half(64, 96, 30), half(64, 96, 30), half(64, 96, 60)]
        settings = settings_for(files, size=0)
        sequence = ArraySequence(still, ClipInfo(96, 64, Fraction(25), 3))
        source = SequenceSource(sequence, settings, (1.0,), masks=array_masks(masks, settings, 96, 64, 3))
        first, same, grown = source.frames(0)
        assert (first.budget, same.budget is None, grown.budget) == (None, False, None)
        assert torch.equal(grown.motion.visible[0, 5], torch.tensor([1.0] * 30 + [0.0] * 66))


REFUSED = {
    "another shape": ("square.png", "64x64 pixels, and what is painted 96x64", 3),
    "black": ("black.png", "black everywhere", 3),
    "no picture": ("words.png", "words.png", 3),
    "not there": ("nothing.png", "nothing.png", 3),
    "several for one picture": ("masks", "give one picture", 3),
}


@pytest.fixture
def bad(files, clip):
    saved(files / "square.png", half(64, 64, 20))
    saved(files / "black.png", half(64, 96, 0))
    (files / "words.png").write_text("no picture")
    return files


@pytest.mark.clips
@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("command", ["image", "video"])
def test_a_bad_mask_is_refused_in_a_sentence(vidstyle, bad, name, command):
    mask, words, code = REFUSED[name]
    content = bad / ("photo.png" if command == "image" else "clip")
    if (command, name) == ("video", "several for one picture"):
        (bad / "masks" / "4.png").unlink()
        words = "4 frames, and 5 are painted"
    out = bad / "out.png" if command == "image" else f"{bad}/out/"
    done = vidstyle(command, content, bad / "style.png", "-o", out, "--mask", bad / mask, "--device", "cpu")
    assert done.exit_code == code, done.output
    assert words in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (bad / "out.png.job").exists()
    assert not (bad / "out.job").exists()


def test_what_cannot_be_meant_is_refused(files):
    with pytest.raises(UsageError, match="--feather belongs to --mask"):
        stylize_image(
            files / "photo.png", [files / "style.png"], files / "o.png", settings_for(files, ImageSettings, feather=9)
        )
    content, own = texture(96, 64, 1), settings_for(files, ImageSettings)
    for mask, words in ((half(64, 90, 9), "mask 0 is"), (half(64, 96, 0), "0 everywhere"), (content / 255, "64 masks")):
        with pytest.raises(UsageError, match=words):
            stylize(content, [content], own, mask=mask)
    with pytest.raises(UsageError, match=r"ImageSettings\.mask"):
        stylize(content, [content], dataclasses.replace(own, mask="mask.png"))


@pytest.mark.clips
def test_a_clip_that_is_transparent_is_no_mask(files):
    frames = [Image.new("RGBA", (96, 64), (255, 255, 255, 255 * (n % 2))) for n in range(2)]
    frames[0].save(files / "m.gif", save_all=True, append_images=frames[1:], disposal=2)
    make_clip(files / "clip.mp4", pan(2, 96, 64))
    with pytest.raises(MediaError, match="transparency"):
        stylize_video(
            files / "clip.mp4", [files / "style.png"], f"{files}/o/", settings_for(files, mask=str(files / "m.gif"))
        )
