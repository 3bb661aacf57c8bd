"""`vidstyle mask`: what is seen in a box becomes a mask; of a clip, one for each frame of the shot."""

import numpy as np
import pytest
from clips import make_clip, texture
from PIL import Image

from vidstyle import make_mask
from vidstyle.errors import UsageError
from vidstyle.media.stills.segmentation import cut_out, refined

WIDTH, HEIGHT = 160, 120
BOX = "45,25,70,70"


def thing(x, y, radius=25):
    """A disc, (H, W) bool."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.hypot(columns - x, rows - y) <= radius


def scene(*places, seed=1):
    """Orange discs at some places on a blue and green background, (H, W, 3) uint8."""
    picture = texture(WIDTH, HEIGHT, seed) // 3 + np.array([0, 60, 90], np.uint8)
    grain = np.random.default_rng(0).integers(0, 30, picture.shape, np.uint8)
    for x, y in places:
        picture[thing(x, y)] = (210, 120, 20)
    return picture + grain


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


def saved(path, picture):
    Image.fromarray(picture).save(path)
    return path


def mask_in(path):
    found = np.asarray(Image.open(path))
    assert set(np.unique(found)) <= {0, 255}
    return found[..., 0] > 127


class TestPictures:
    def test_a_thing_in_a_box(self, vidstyle, tmp_path):
        saved(tmp_path / "photo.png", scene((80, 60)))
        done = vidstyle("mask", tmp_path / "photo.png", "--box", BOX, "-o", tmp_path / "mask.png")
        assert done.exit_code == 0, done.output
        assert overlap(mask_in(tmp_path / "mask.png"), thing(80, 60)) > 0.95
        first = (tmp_path / "mask.png").read_bytes()
        assert vidstyle("mask", tmp_path / "photo.png", "--box", BOX, "-o", tmp_path / "mask.png").exit_code == 4
        assert vidstyle("mask", tmp_path / "photo.png", "--box", BOX, "-o", tmp_path / "mask.png", "-y").exit_code == 0
        assert (tmp_path / "mask.png").read_bytes() == first

    def test_points_correct_it(self, vidstyle, tmp_path):
        """Of two equal things in a box, one does not belong to the mask."""
        saved(tmp_path / "photo.png", scene((45, 60), (115, 60)))
        job = ["mask", tmp_path / "photo.png", "--box", "15,30,130,60"]
        assert vidstyle(*job, "-o", tmp_path / "both.png").exit_code == 0
        points = " ".join(f"-{x},{y}" for x in range(95, 140, 5) for y in range(45, 80, 5))
        assert vidstyle(*job, "-o", tmp_path / "one.png", "--points", f"+45,60 {points}").exit_code == 0
        both, one = (mask_in(tmp_path / f"{name}.png") for name in ("both", "one"))
        assert overlap(both, thing(45, 60) | thing(115, 60)) > 0.9
        assert (one & thing(45, 60)).sum() > 0.9 * thing(45, 60).sum()
        assert (one & thing(115, 60)).sum() < 0.6 * thing(115, 60).sum()

    def test_a_size_and_pixels_of_the_content(self, tmp_path):
        """The box is given in pixels of the content, whatever the size of the mask is."""
        saved(tmp_path / "photo.png", scene((80, 60)))
        make_mask(tmp_path / "photo.png", tmp_path / "mask.png", box=[45, 25, 70, 70], points=[(80, 60, 1)], size=80)
        found = mask_in(tmp_path / "mask.png")
        assert found.shape == (60, 80)
        assert overlap(found, thing(80, 60)[::2, ::2]) > 0.9

    def test_a_border_is_refined_where_an_edge_is_near(self):
        rough = np.where(thing(81, 61, 24), 255, 0).astype(np.uint8)
        assert overlap(refined(scene((80, 60)), rough) > 127, thing(80, 60)) > overlap(rough > 127, thing(80, 60))
        for same in (np.zeros_like(rough), np.full_like(rough, 255)):
            assert np.array_equal(refined(scene((80, 60)), same), same)

    def test_nothing_is_outside_of_the_box(self):
        found = cut_out(scene((80, 60)), (60, 40, 20, 20))
        assert not found[:40].any()
        assert not found[:, 80:].any()


@pytest.mark.clips
class TestClips:
    @pytest.fixture
    def clip(self, tmp_path):
        """A disc that moves by three pixels a frame to the right, before a still background; then another shot."""
        frames = [scene((65 + 3 * number, 60)) for number in range(8)]
        other = [255 - frame for frame in (scene(seed=9), scene(seed=9))]
        return make_clip(tmp_path / "clip.mp4", [*frames, *other], rate=25, options={"crf": "8"})

    def test_it_is_carried_through_the_shot(self, vidstyle, clip, tmp_path, network):
        box = f"{65 + 9 - 35},25,70,70"
        done = vidstyle("mask", clip, "--box", box, "--frame", 3, "-o", f"{tmp_path}/masks/")
        assert done.exit_code == 0, done.output
        assert "mask 10/10" in done.output
        masks = [mask_in(path) for path in sorted((tmp_path / "masks").glob("*.png"))]
        assert len(masks) == 10
        for number, mask in enumerate(masks[:8]):
            assert overlap(mask, thing(65 + 3 * number, 60)) > 0.9, number
        assert not any(mask.any() for mask in masks[8:])
        style = saved(tmp_path / "style.png", texture(48, 48, 2))
        job = ["video", clip, style, "-o", tmp_path / "o.gif", "--mask", tmp_path / "masks", "--network", network]
        done = vidstyle(*job, "--size", 64, "--iterations", 1, "--first-iterations", 1, "--device", "cpu")
        assert done.exit_code == 0, done.output

    def test_a_clip_of_masks(self, vidstyle, clip, tmp_path):
        done = vidstyle("mask", clip, "--box", "30,25,70,70", "-o", tmp_path / "masks.mp4", "-q", "--size", 80)
        assert (done.exit_code, done.output) == (0, "")
        assert (tmp_path / "masks.mp4").stat().st_size > 0


REFUSED = {
    "malformed box": (["--box", "1,2,3"], "--box is '1,2,3'; give X,Y,W,H in pixels", 2),
    "empty box": (["--box", "10,10,0,5"], "not inside of 160x120 pixels", 2),
    "box outside": (["--box", "100,10,80,20"], "box of 80x20 pixels at 100,10 is not inside of 160x120", 2),
    "whole picture": (["--box", "0,0,160,120"], "nothing says what is outside", 2),
    "malformed points": (["--box", BOX, "--points", "10,20"], "--points has '10,20'; give '+X,Y -X,Y'", 2),
    "point outside": (["--box", BOX, "--points", "+10,120"], "the point 10,120 is not inside", 2),
    "frame of a picture": (["--box", BOX, "--frame", "0"], "--frame is for a clip", 2),
    "nothing found": (["--box", BOX, "--points", " ".join(f"-{x},{y}" for x in range(45, 116) for y in range(25, 96))],
                      "nothing stands out in the box", 3),
    "size": (["--box", BOX, "--size", "4"], "--size is 4", 2),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_is_refused_in_a_sentence(vidstyle, tmp_path, name):
    options, words, code = REFUSED[name]
    photo = saved(tmp_path / "photo.png", scene((80, 60)))
    done = vidstyle("mask", photo, "-o", tmp_path / "mask.png", *options)
    assert done.exit_code == code, done.output
    assert words in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (tmp_path / "mask.png").exists()


@pytest.mark.clips
def test_a_frame_of_a_clip_is_in_it(vidstyle, tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", [scene((80, 60))] * 3, rate=25)
    done = vidstyle("mask", clip, "-o", f"{tmp_path}/m/", "--box", BOX, "--frame", 3)
    assert done.exit_code == 2
    assert "frame 3 is not painted; frames 0 to 2 are" in done.output


def test_arguments_are_checked(tmp_path):
    for box in ("1,2,3,4", [1, 2, 3], [1.5, 2, 3, 4]):
        with pytest.raises(UsageError, match="box"):
            make_mask(saved(tmp_path / "p.png", scene((80, 60))), tmp_path / "m.png", box=box)
