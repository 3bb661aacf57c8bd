"""Transparency: it is painted where something is visible, and opacity goes from the content to outputs that have it."""

import json
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from clips import texture
from PIL import Image, ImageSequence

from vidstyle import ImageSettings, RunOptions, VideoSettings, stylize, stylize_frames, stylize_video
from vidstyle.core.opacity import counted
from vidstyle.core.stylizer import Stylizer
from vidstyle.errors import UsageError
from vidstyle.media.stills.pictures import load_picture, resize
from vidstyle.media.stills.transparency import filled, opaque

FAST = ("--first-iterations", 3, "--device", "cpu", "--precision", "float32")
CLIP = ("--iterations", 2, *FAST)
HEIGHT, WIDTH, FRAMES = 64, 96, 3
RED = (200, 40, 30)


def disc(x=48.0, radius=24.0):
    """Its opacity, (H, W) uint8, with a soft edge; hard for a GIF is half of it."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    return np.rint(255 * np.clip(radius - np.hypot(rows - 32, columns - x) + 0.5, 0, 1)).astype(np.uint8)


def cut_out(opacity, hidden=(0, 0, 0), colors=None):
    """A picture (H, W, 4) with other colours where nothing is visible."""
    pixels = np.dstack([texture(WIDTH, HEIGHT, 1) if colors is None else colors, opacity])
    pixels[opacity == 0, :3] = hidden
    return pixels


def moving():
    """The opacity of the frames of a clip."""
    return [disc(40 + 6 * number) for number in range(FRAMES)]


def saved(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def ffmpeg(*arguments, data=b""):
    done = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)], input=data, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def clip_file(path, frames, *codec):
    size = f"{WIDTH}x{HEIGHT}"
    raw = ("-f", "rawvideo", "-pix_fmt", "rgba", "-s", size, "-r", 10, "-i", "-")
    ffmpeg(*raw, *codec, path, data=b"".join(np.ascontiguousarray(frame).tobytes() for frame in frames))
    return path


VP9 = ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-auto-alt-ref", 0, "-crf", 4, "-b:v", 0)
CLIPS = {
    "clip.webm": VP9,
    "clip.mov": ("-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le"),
    "clip.apng": ("-f", "apng"),
}


def decoded(path):
    """The frames of an output, (H, W, 4) uint8 each, by Pillow or ffmpeg."""
    if path.is_dir():
        return [np.asarray(Image.open(file)) for file in sorted(path.glob("*.png"))]
    if path.suffix == ".webm":  # only libvpx decodes its opacity
        raw = ffmpeg("-c:v", "libvpx-vp9", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgba", "-")
        return list(np.frombuffer(raw, np.uint8).reshape(-1, HEIGHT, WIDTH, 4))
    with Image.open(path) as image:
        return [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(image)]


def off(found, wanted):
    return int(np.abs(found.astype(int) - wanted.astype(int)).max())


@pytest.fixture
def files(tmp_path, network):
    saved(tmp_path / "style.png", texture(48, 48, 2))
    saved(tmp_path / "cut.png", cut_out(disc()))
    return tmp_path


@pytest.fixture
def image(files, vidstyle):
    """Paint a picture with the command line; what it printed."""

    def run(*arguments, content="cut.png", style="style.png", code=0):
        network = files / "tiny.safetensors"
        done = vidstyle("image", files / content, files / style, "--network", network, *FAST, *arguments)
        assert done.exit_code == code, done.output
        return " ".join(done.output.split())

    return run


class TestPictures:
    def test_laid_over_a_colour_as_pillow_does(self):
        pixels = cut_out(disc(), (1, 2, 3))
        ground = Image.new("RGBA", (WIDTH, HEIGHT), (10, 200, 90, 255))
        wanted = Image.alpha_composite(ground, Image.fromarray(pixels)).convert("RGB")
        assert off(opaque(pixels, (10, 200, 90)), np.asarray(wanted)) <= 1
        deep = pixels.astype(np.uint16) * 257
        assert off(opaque(deep, (10, 200, 90)) / 257, np.asarray(wanted)) <= 1

    @pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
    def test_colours_count_by_their_opacity_where_it_shrinks(self, kind):
        white = 1 if kind == np.float32 else np.iinfo(kind).max
        pixels = (cut_out(disc(), (0, 255, 0)) / 255 * white).astype(kind)
        found = resize(pixels, WIDTH // 2, HEIGHT // 2).astype(float) / white
        exact = pixels.astype(float).reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 4).transpose(0, 2, 1, 3, 4) / white
        weights = exact[..., 3:]
        seen = weights.sum((2, 3)) > 0
        means = (exact * weights).sum((2, 3))[..., :3] / np.maximum(weights.sum((2, 3)), 1e-9)
        assert np.abs(found[..., 3] - weights.mean((2, 3))[..., 0]).max() < 0.005
        assert np.abs(found[..., :3] - means)[seen[..., 0]].max() < 0.005
        assert np.abs(found[~seen[..., 0], :3] - (0, 1, 0)).max() < 0.005  # what is hidden stays, too

    def test_what_is_hidden_gets_the_colours_beside_it(self):
        pixels = cut_out(disc(), (0, 255, 0), np.full((HEIGHT, WIDTH, 3), RED, np.uint8)).astype(np.float32) / 255
        assert np.abs(filled(pixels) * 255 - RED).max() < 0.5
        pixels = cut_out(disc()).astype(np.float32) / 255
        visible = pixels[..., 3] > 0.2
        assert np.array_equal(filled(pixels)[visible], pixels[visible, :3])
        other = np.where(pixels[..., 3:] > 0, pixels, np.float32(0.7))
        other[..., 3] = pixels[..., 3]
        assert np.array_equal(filled(other), filled(pixels))

    def test_a_rim_beside_what_is_visible_counts(self):
        opacity = torch.zeros(1, 1, 9)
        opacity[..., 4] = 0.5
        assert counted(None, opacity).tolist() == [[[0, 0, 0.5, 0.5, 0.5, 0.5, 0.5, 0, 0]]]
        mask = torch.ones(1, 1, 9)
        mask[..., 4:] = 0.5
        assert counted(mask, opacity).tolist() == [[[0, 0, 0.5, 0.5, 0.25, 0.25, 0.25, 0, 0]]]
        assert counted(mask, None) is mask

    def test_opacity_is_given_only_where_there_is_some(self, tmp_path):
        saved(tmp_path / "solid.png", cut_out(np.full((HEIGHT, WIDTH), 255, np.uint8)))
        saved(tmp_path / "cut.png", cut_out(disc()))
        shapes = [load_picture(tmp_path / f"{name}.png", transparency=True).shape[2] for name in ("solid", "cut")]
        assert shapes == [3, 4]


class TestImage:
    @pytest.mark.parametrize(
        ("suffix", "options", "most"),
        [
            ("png", {}, 0),
            ("webp", {"lossless": True}, 0),
            ("avif", {"quality": 100}, 2),
            ("tif", {}, 0),
        ],
    )
    def test_the_opacity_of_the_content_is_that_of_the_output(self, files, image, suffix, options, most):
        saved(files / f"in.{suffix}", cut_out(disc()), **options)
        outputs = [word for kind in ("png", "webp", "avif", "tif") for word in ("-o", files / f"out.{kind}")]
        image(*outputs, content=f"in.{suffix}")
        for kind in ("png", "webp", "tif"):
            (found,) = decoded(files / f"out.{kind}")
            assert off(found[..., 3], disc()) <= most
        (found,) = decoded(files / "out.avif")
        assert off(found[..., 3], disc()) <= most + 8

    @pytest.mark.parametrize("suffix", ["png", "gif"])
    def test_a_palette_with_a_transparent_colour(self, files, image, suffix):
        hard = np.where(disc() >= 128, 255, 0).astype(np.uint8)
        palette = Image.fromarray(cut_out(hard)).convert("RGB").quantize(200)
        numbers = np.where(hard > 0, np.asarray(palette), 255).astype(np.uint8)
        picture = Image.fromarray(numbers, "P")
        picture.putpalette(palette.getpalette() + [0] * (768 - len(palette.getpalette())))
        picture.save(files / f"in.{suffix}", transparency=255)
        image("-o", files / "out.png", content=f"in.{suffix}")
        (found,) = decoded(files / "out.png")
        assert np.array_equal(found[..., 3], hard)

    def test_sixteen_bits(self, files, image):
        import cv2

        deep = (np.ascontiguousarray(cut_out(disc())[:, :, [2, 1, 0, 3]]).astype(np.uint16)) * 257
        deep[30:34, :, 3] = 12345
        cv2.imwrite(str(files / "in.png"), deep)
        image("-o", files / "out.png", "--bits", 16, content="in.png")
        found = cv2.imread(str(files / "out.png"), cv2.IMREAD_UNCHANGED)
        assert found.dtype == np.uint16
        assert off(found[..., 3], deep[..., 3]) <= 1

    def test_colours_that_are_hidden_change_nothing(self, files, image):
        saved(files / "green.png", cut_out(disc(), (0, 255, 0)))
        for name in ("cut", "green"):
            image("-o", files / f"{name}.out.png", content=f"{name}.png")
        one, other = (decoded(files / f"{name}.out.png")[0] for name in ("cut", "green"))
        assert np.array_equal(one, other)

    def test_the_edge_has_the_colours_of_the_inside(self, files, image):
        """At alpha 1 the painting is the content: whatever is hidden, and however it is resized."""
        plain = np.full((HEIGHT, WIDTH, 3), RED, np.uint8)
        saved(files / "red.png", cut_out(disc(), (0, 0, 0), plain))
        image("-o", files / "out.png", "--alpha", 1, "--size", 48, content="red.png")
        (found,) = decoded(files / "out.png")
        assert off(found[found[..., 3] > 0, :3], np.array(RED)) <= 1

    @pytest.mark.parametrize(
        ("background", "ground"), [("white", 255), ("black", 0), ("#102030", (16, 32, 48)), ("content", (9, 120, 70))]
    )
    def test_what_it_is_laid_over(self, files, image, background, ground):
        saved(files / "in.png", cut_out(disc(), (9, 120, 70)))
        text = image("-o", files / "out.png", "--background", background, "--keep-job", content="in.png")
        assert "transparent" not in text
        with Image.open(files / "out.png") as found:
            assert found.mode == "RGB"
            laid = np.asarray(found)
        assert (laid[disc() == 0] == ground).all()
        (frame,) = (np.asarray(Image.open(file)) for file in (files / "out.png.job" / "frames").iterdir())
        assert np.array_equal(laid[disc() == 255], frame[disc() == 255, :3])

    def test_an_output_without_opacity_is_laid_over_white_and_says_so(self, files, image):
        text = image("-o", files / "out.jpg", "-o", files / "out.png")
        assert "out.jpg cannot be: the painting is laid over white" in text
        assert "out.png" not in text.split("cannot be")[0].split("transparent, and")[1]
        assert np.asarray(Image.open(files / "out.jpg"))[0, 0].min() > 250
        assert Image.open(files / "out.png").mode == "RGBA"

    def test_sixteen_bits_laid_over_black(self, files, image):
        import cv2

        image("-o", files / "out.png", "--bits", 16, "--background", "black")
        found = cv2.imread(str(files / "out.png"), cv2.IMREAD_UNCHANGED)
        assert found.shape == (HEIGHT, WIDTH, 3)
        assert not found[disc() == 0].any()

    def test_a_mask_and_a_region_inside(self, files, image):
        """Outside the mask the content stays, to the level; opacity is the content's everywhere."""
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[:, :48] = 255
        saved(files / "mask.png", mask)
        saved(files / "region.png", 255 - mask[::-1])
        region = f"{files / 'region.png'}={files / 'style.png'}"
        image("-o", files / "out.png", "--mask", files / "mask.png", "--region", region)
        (found,) = decoded(files / "out.png")
        kept = (mask == 0) & (disc() > 40)
        assert off(found[kept], cut_out(disc())[kept]) <= 1
        assert np.array_equal(found[..., 3], disc())


class TestRefused:
    def test_a_background_that_is_none(self, files, image):
        text = image("-o", files / "out.png", "--background", "mauve", code=2)
        assert "--background is 'mauve'; give white, black, content, none, or a colour like #ffcc00" in text

    def test_to_stay_transparent_where_that_cannot_be(self, files, image):
        text = image("-o", files / "out.jpg", "--background", "none", code=2)
        assert "--background none keeps the painting transparent" in text
        assert not list(files.glob("out*"))

    @pytest.mark.parametrize("role", ["content", "style"])
    def test_nothing_to_be_seen(self, files, image, role):
        saved(files / "nothing.png", cut_out(np.zeros((HEIGHT, WIDTH), np.uint8)))
        text = image("-o", files / "out.png", code=3, **{role: "nothing.png"})
        assert "nothing.png is transparent everywhere" in text

    def test_a_clip_in_which_nothing_is_to_be_seen(self, files, vidstyle):
        clip = clip_file(files / "in.apng", [cut_out(np.zeros((HEIGHT, WIDTH), np.uint8))] * 2, *CLIPS["clip.apng"])
        done = vidstyle("video", clip, files / "style.png", "-o", files / "out.webm")
        assert done.exit_code == 3
        assert "transparent everywhere" in " ".join(done.output.split())

    def test_a_background_of_an_opaque_content_is_told_to_be_idle(self, files, image):
        saved(files / "solid.png", texture(WIDTH, HEIGHT, 1))
        text = image("-o", files / "out.png", "--background", "black", content="solid.png")
        assert "--background black changes nothing: the content is not transparent" in text
        assert "changes nothing" not in image("-o", files / "b.png", "--background", "none", content="solid.png")


class TestStyle:
    def test_only_what_is_visible_of_a_style_counts(self, files, tiny_network):
        """Means and covariances of its colours are those of the visible pixels, computed by numpy."""
        opacity = np.zeros((HEIGHT, WIDTH), np.uint8)
        opacity[:, 50:] = 255
        pixels = cut_out(opacity, (0, 255, 0))
        picture = torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32) / 255)
        settings = ImageSettings(
            device="cpu", precision="float32", content_layers=("relu2_1",), style_layers=("relu1_1",)
        )
        (found,) = Stylizer(tiny_network, [picture], settings).colors._moments
        visible = pixels[opacity > 0, :3] / 255
        assert np.allclose(found[:, 3], visible.mean(0), atol=1e-5)
        assert np.allclose(found[:, :3], visible.T @ visible / len(visible), atol=1e-5)

    def test_its_hidden_colours_change_nothing(self, files, image):
        saved(files / "photo.png", texture(WIDTH, HEIGHT, 3))
        opacity = np.where(np.arange(WIDTH) < 50, 255, 0).astype(np.uint8)[None].repeat(HEIGHT, 0)
        for name, hidden in (("a", (0, 0, 0)), ("b", (0, 255, 0))):
            saved(files / f"{name}.png", cut_out(opacity, hidden))
            image("-o", files / f"{name}.out.png", content="photo.png", style=f"{name}.png")
        one, other = (np.asarray(Image.open(files / f"{name}.out.png")) for name in ("a", "b"))
        assert one.shape[2] == 3
        assert np.array_equal(one, other)


@pytest.mark.clips
class TestClips:
    @pytest.fixture
    def painted(self, files, vidstyle):
        def run(content, *arguments, code=0):
            network = files / "tiny.safetensors"
            done = vidstyle("video", content, files / "style.png", "--network", network, *CLIP, *arguments)
            assert done.exit_code == code, done.output
            return " ".join(done.output.split())

        return run

    @pytest.mark.parametrize(("name", "most"), [("clip.webm", 6), ("clip.mov", 1), ("clip.apng", 0)])
    def test_every_kind_of_clip(self, files, painted, name, most):
        clip = clip_file(files / name, [cut_out(one) for one in moving()], *CLIPS[name])
        painted(clip, "-o", f"{files}/out/")
        for found, opacity in zip(decoded(files / "out"), moving(), strict=True):
            assert off(found[..., 3], opacity) <= most

    def test_a_folder_of_which_one_picture_is_opaque_and_one_hidden(self, files, painted):
        (files / "in").mkdir()
        opacity = [disc(), np.zeros_like(disc()), np.full_like(disc(), 255)]
        for number, one in enumerate(opacity):
            saved(files / "in" / f"{number}.png", cut_out(one)[..., : 4 - (number == 2)])
        painted(files / "in", "-o", f"{files}/out/")
        assert all(np.array_equal(f[..., 3], o) for f, o in zip(decoded(files / "out"), opacity, strict=True))

    def test_every_kind_of_output(self, files, painted):
        """And MP4 is laid over white, while the frames of the job are as transparent as the clip."""
        clip = clip_file(files / "in.apng", [cut_out(one) for one in moving()], *CLIPS["clip.apng"])
        names = ["out.webm", "out.gif", "out.webp", "out.avif", "out.png", "out/", "out.mp4"]
        text = painted(clip, *(word for name in names for word in ("-o", f"{files}/{name}")), "--keep-job")
        assert "out.mp4 cannot be" in text
        assert "out.gif cannot" not in text
        frames = decoded(files / "out.webm.job" / "frames")
        assert all(np.array_equal(frame[..., 3], one) for frame, one in zip(frames, moving(), strict=True))
        for name, most in (("out.webm", 8), ("out.webp", 0), ("out.avif", 8), ("out.png", 0), ("out", 0)):
            for found, one in zip(decoded(files / name), moving(), strict=True):
                assert off(found[..., 3], one) <= most, name
        for found, one, frame in zip(decoded(files / "out.gif"), moving(), frames, strict=True):
            assert np.array_equal(found[..., 3], np.where(one >= 128, 255, 0)), "one bit"
            assert off(found[one == 255, :3].mean(0), frame[one == 255, :3].mean(0)) < 8
        raw = ffmpeg("-i", files / "out.mp4", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
        laid = np.frombuffer(raw, np.uint8).reshape(FRAMES, HEIGHT, WIDTH, 3)
        assert laid[:, :, :4].min() > 250

    def test_hidden_colours_change_nothing(self, files, painted):
        for name, hidden in (("a", (0, 0, 0)), ("b", (0, 255, 0))):
            frames = [cut_out(one, hidden) for one in moving()]
            painted(clip_file(files / f"{name}.apng", frames, "-f", "apng"), "-o", f"{files}/{name}/")
        assert all(map(np.array_equal, decoded(files / "a"), decoded(files / "b")))

    def test_resumed_with_the_same_bytes(self, files):
        clip = clip_file(files / "in.apng", [cut_out(one) for one in moving()], *CLIPS["clip.apng"])
        settings = VideoSettings(
            network=str(files / "tiny.safetensors"), first_iterations=3, iterations=2, device="cpu", precision="float32"
        )

        def stop(result, total):
            assert result.image.shape[2] == 4
            raise KeyboardInterrupt

        stylize_video(clip, [files / "style.png"], files / "whole.webp", settings)
        for _ in range(FRAMES):
            with pytest.raises(KeyboardInterrupt):
                stylize_video(clip, [files / "style.png"], files / "parts.webp", settings, RunOptions(on_frame=stop))
        stylize_video(clip, [files / "style.png"], files / "parts.webp", settings)
        assert (files / "parts.webp").read_bytes() == (files / "whole.webp").read_bytes()

    def test_encoded_anew_over_something_else(self, files, painted, vidstyle):
        clip = clip_file(files / "in.apng", [cut_out(one, (9, 120, 70)) for one in moving()], *CLIPS["clip.apng"])
        painted(clip, "-o", files / "out.webm", "--keep-job", "--report")
        job = files / "out.webm.job"
        for background, ground in (("black", (0, 0, 0)), ("content", (9, 120, 70))):
            done = vidstyle("encode", job, "-o", f"{files}/{background}/", "--background", background)
            assert done.exit_code == 0, done.output
            for found, one in zip(decoded(files / background), moving(), strict=True):
                assert found.shape[2] == 3
                assert (found[one == 0] == ground).all()
        assert vidstyle("encode", job, "-o", f"{files}/kept/").exit_code == 0
        assert all(map(np.array_equal, decoded(files / "kept"), decoded(job / "frames")))
        done = vidstyle("encode", job, "-o", files / "no.mp4", "--background", "none")
        assert done.exit_code == 2
        assert json.loads((files / "out.report.json").read_text())["input"]["frames"] == FRAMES

    def test_content_beside_it_and_a_limited_size(self, files, painted):
        clip = clip_file(files / "in.apng", [cut_out(one) for one in moving()], *CLIPS["clip.apng"])
        painted(clip, "-o", f"{files}/pair/", "-o", files / "s.gif", "--layout", "pair", "--max-size", "9kB")
        frames = decoded(files / "pair")
        for found, one in zip(frames, moving(), strict=True):
            assert np.array_equal(found[:, :WIDTH, 3], one), "the content"
            assert np.array_equal(found[:, -WIDTH:, 3], one), "the painting"
            assert (found[:, WIDTH, 3] == 255).all(), "what lies between"
            assert np.array_equal(found[:, :WIDTH][one > 0], cut_out(one)[one > 0])
        assert (files / "s.gif").stat().st_size <= 9000
        assert any((frame[..., 3] == 0).any() for frame in decoded(files / "s.gif"))

    def test_a_key_frame_and_a_loop(self, files, painted):
        clip = clip_file(files / "in.apng", [cut_out(one) for one in moving()], *CLIPS["clip.apng"])
        saved(files / "first.png", cut_out(moving()[0], colors=texture(WIDTH, HEIGHT, 5)))
        painted(clip, "-o", f"{files}/out/", "--first", files / "first.png")
        painted(clip, "-o", f"{files}/loop/", "--loop")
        found, wanted, one = (
            decoded(files / "out")[0],
            cut_out(moving()[0], colors=texture(WIDTH, HEIGHT, 5)),
            moving()[0],
        )
        assert off(found[one > 128, :3], wanted[one > 128, :3]) <= 2
        assert np.array_equal(decoded(files / "loop")[1][..., 3], moving()[1])


class TestOthers:
    def test_a_balance(self, files, vidstyle):
        settings = ("--seconds", 1, "--fps", 4, "--network", files / "tiny.safetensors", *CLIP)
        for space in ("linear", "even"):
            out = files / f"{space}.png"
            line = ("balance", files / "cut.png", files / "style.png", "-o", out, "--space", space, *settings)
            done = vidstyle(*line)
            assert done.exit_code == 0, done.output
            assert all(np.array_equal(frame[..., 3], disc()) for frame in decoded(out))
        first = decoded(files / "linear.png")[0]
        visible = disc() > 40
        assert off(first[visible, :3], cut_out(disc())[visible, :3]) <= 1, "it begins with the content"

    def test_a_sheet(self, files, vidstyle):
        line = ("sheet", files / "cut.png", files / "style.png", "--alphas", "1,.5", "--size", 96)
        line += ("--network", files / "tiny.safetensors", *FAST)
        found = {}
        for background in ("white", "#00ff00"):
            out = files / f"{background}.png"
            done = vidstyle(*line, "-o", out, "--background", background)
            assert done.exit_code == 0, done.output
            found[background] = np.asarray(Image.open(out))
        apart = (found["white"] != found["#00ff00"]).any(2)
        assert apart.sum() >= 2 * (disc() == 0).sum()
        assert (found["#00ff00"][apart][:, 1] >= found["white"][apart][:, 1]).all()
        assert vidstyle(*line, "-o", files / "n.png", "--background", "none").exit_code == 2

    def test_arrays(self, files):
        settings = ImageSettings(
            network=str(files / "tiny.safetensors"), first_iterations=3, device="cpu", precision="float32"
        )
        style = texture(48, 48, 2)
        found = stylize(cut_out(disc()), [style], settings)
        assert np.array_equal(found[..., 3], disc())
        assert stylize(cut_out(np.full_like(disc(), 255)), [style], settings).shape[2] == 4
        assert stylize(texture(WIDTH, HEIGHT, 1), [cut_out(disc())], settings).shape[2] == 3
        with pytest.raises(UsageError, match="transparent everywhere"):
            stylize(cut_out(np.zeros_like(disc())), [style], settings)

    @pytest.mark.clips
    def test_frames_in_memory(self, files):
        settings = VideoSettings(
            network=str(files / "tiny.safetensors"), first_iterations=3, iterations=2, device="cpu", precision="float32"
        )
        frames = [cut_out(one) for one in moving()]
        found = list(stylize_frames(frames, [texture(48, 48, 2)], settings))
        assert all(np.array_equal(frame[..., 3], one) for frame, one in zip(found, moving(), strict=True))
        with pytest.raises(UsageError, match="all must be"):
            list(stylize_frames([frames[0], frames[1][..., :3]], [texture(48, 48, 2)], settings))

    def test_a_job_shows_its_settings(self, files, image, vidstyle):
        image("-o", files / "out.png", "--background", "#ABCDEF")
        assert "--background '#abcdef'" in " ".join(vidstyle("show", files / "out.png").output.split())
        image("-o", files / "again.png", "--params-from", files / "out.png")
        assert np.asarray(Image.open(files / "again.png"))[0, 0].tolist() == [0xAB, 0xCD, 0xEF]
