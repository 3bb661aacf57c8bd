import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import BLUE, GREEN, RED, WHITE, clicks, make_clip, number_of, numbered, pan, patch_error, patches, quarters
from PIL import Image

from vidstyle.errors import MediaError, UsageError
from vidstyle.media.stills import pictures

av, media = pytest.importorskip("av"), pytest.importorskip("vidstyle.media.video")


def corner_colors(image):
    """The colours of the four corners: top left, top right, bottom left, bottom right."""
    scale = 255 if image.dtype != np.uint8 else 1
    return [tuple(int(v) for v in np.rint(image[y, x] * scale / 51) * 51) for y in (3, -4) for x in (3, -4)]


class TestSurvey:
    @pytest.mark.parametrize("rate", [24, 25, 15, 60, Fraction(30000, 1001), Fraction(24000, 1001)])
    @pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
    def test_rate_and_frames_are_exact(self, tmp_path, rate, suffix):
        clip = media.survey(make_clip(tmp_path / f"a{suffix}", numbered(50), rate=rate))
        assert (clip.info.fps, clip.info.frames, clip.info.timestamps) == (rate, 50, None)
        assert clip.end_seconds == clip.info.seconds == 50 / Fraction(rate)
        assert [number_of(frame) for frame in clip.decode()] == list(range(50))

    def test_varying_rate_keeps_true_times(self, tmp_path):
        steps = [40, 40, 120, 33, 17, 200] * 5
        times = [Fraction(sum(steps[:number]), 1000) for number in range(30)]
        for suffix in (".mkv", ".mp4"):
            clip = media.survey(make_clip(tmp_path / f"a{suffix}", numbered(30), times=times))
            assert clip.info.timestamps == tuple(times)
            assert clip.info.fps == 29 / times[-1]

    def test_a_dropped_frame_is_a_varying_rate(self, tmp_path):
        times = [Fraction(number + (number > 7), 25) for number in range(20)]
        clip = media.survey(make_clip(tmp_path / "a.mkv", numbered(20), times=times))
        assert clip.info.timestamps == tuple(times)

    def test_selection(self, tmp_path):
        path = make_clip(tmp_path / "a.mp4", numbered(50))
        seen = []
        clip = media.survey(path, start=0.4, end=1.2, on_frame=lambda frame: seen.append(number_of(frame)))
        assert seen == list(range(10, 30))
        assert (clip.first, clip.info.frames, clip.whole) == (10, 20, False)
        assert (clip.start_seconds, clip.end_seconds) == (Fraction(2, 5), Fraction(6, 5))
        assert [number_of(frame) for frame in clip.decode()] == seen
        assert [number_of(frame) for frame in clip.decode(17)] == seen[17:]
        assert list(clip.decode(20)) == []

    def test_no_frame_in_range(self, tmp_path):
        path = make_clip(tmp_path / "a.mp4", numbered(10))
        with pytest.raises(UsageError, match=r"last one is at 0.360 s"):
            media.survey(path, start=0.4)

    @pytest.mark.parametrize(
        ("rotation", "expected"),
        [
            (0, [RED, GREEN, BLUE, WHITE]),
            (90, [GREEN, WHITE, RED, BLUE]),
            (180, [WHITE, BLUE, GREEN, RED]),
            (270, [BLUE, RED, WHITE, GREEN]),
        ],
    )
    def test_rotation_is_baked_in(self, tmp_path, rotation, expected):
        frames = [np.repeat(quarters(), 2, axis=1)] * 3  # 64 wide, 32 high
        clip = media.survey(make_clip(tmp_path / "a.mp4", frames, rotation=rotation, options={"crf": "5"}))
        assert (clip.info.width, clip.info.height) == ((64, 32) if rotation % 180 == 0 else (32, 64))
        assert corner_colors(next(clip.decode())) == expected  # rotation is counter-clockwise

    def test_sample_aspect_is_baked_in(self, tmp_path):
        for aspect, size in ((Fraction(16, 9), (171, 64)), (Fraction(1, 2), (96, 128))):
            clip = media.survey(make_clip(tmp_path / "a.mp4", pan(3), aspect=aspect))
            assert (clip.info.width, clip.info.height) == size
            assert next(clip.decode()).shape == (size[1], size[0], 3)

    @pytest.mark.parametrize(
        ("matrix", "pixels", "tags"),
        [
            (1, "yuv420p", {}),
            (1, "yuv444p", {"color_range": 2}),
            (5, "yuv420p", {}),
            (6, "yuv422p10le", {}),
            (9, "yuv420p10le", {}),
            (2, "yuv420p", {}),
        ],
    )
    def test_colors_follow_the_tags(self, tmp_path, matrix, pixels, tags):
        path = encode_patches(tmp_path / "a.mp4", matrix, pixels, tags.get("color_range", 1))
        assert patch_error(next(media.survey(path).decode())) <= 3

    def test_untagged_hd_is_bt709(self, tmp_path):
        path = encode_patches(tmp_path / "a.mp4", 2, "yuv420p", 1, side=160, really=1)
        assert patch_error(next(media.survey(path).decode()), side=160) <= 3

    def test_gif_is_a_clip(self, tmp_path):
        frames = [Image.new("RGB", (20, 20), color) for color in (RED, GREEN, BLUE)]
        frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=[100, 200, 100])
        clip = media.survey(tmp_path / "a.gif")
        assert clip.info.timestamps == (0, Fraction(1, 10), Fraction(3, 10))
        assert [tuple(frame[9, 9]) for frame in clip.decode()] == [RED, GREEN, BLUE]

    def test_transparent_gif_is_over_white(self, tmp_path):
        pixels = np.zeros((20, 20, 4), np.uint8)
        pixels[:, :10] = 255, 0, 0, 255
        frames = [Image.fromarray(pixels), Image.fromarray(pixels[:, ::-1].copy())]
        frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], disposal=2)
        assert [corner_colors(f)[:2] for f in media.survey(tmp_path / "a.gif").decode()] == [[RED, WHITE], [WHITE, RED]]

    def test_transparent_vp9_is_over_white(self, tmp_path):
        with av.open(str(tmp_path / "a.webm"), "w") as container:
            stream = container.add_stream("libvpx-vp9", rate=25, options={"crf": "4", "b": "0"})
            stream.width = stream.height = 64
            stream.pix_fmt = "yuva420p"
            stream.metadata["alpha_mode"] = "1"
            for _ in range(3):
                pixels = np.zeros((64, 64, 4), np.uint8)
                pixels[:, :32] = 255, 0, 0, 255
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgba").reformat(format="yuva420p")))
            container.mux(stream.encode(None))
        clip = media.survey(tmp_path / "a.webm")
        assert clip.info.frames == 3
        assert corner_colors(next(clip.decode())) == [RED, WHITE, RED, WHITE]

    def test_names_that_look_like_something_else(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        path = make_clip(tmp_path / "a.mp4", numbered(5))
        for name in ("-i.mp4", "http:b.mp4", "c %03d ü.mp4", "d\nd.mp4"):
            path = path.rename(name)
            assert media.survey(name).info.frames == 5

    def test_two_reads_at_once(self, tmp_path):
        clip = media.survey(make_clip(tmp_path / "a.mp4", numbered(20)))
        one, other = clip.decode(), clip.decode(10)
        pairs = [(number_of(a), number_of(b)) for a, b in zip(one, other, strict=False)]
        assert pairs == [(number, number + 10) for number in range(10)]


class TestBadClips:
    @pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".gif", ".flv"])
    def test_cut_short(self, tmp_path, suffix):
        whole, cut = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
        if suffix == ".gif":
            frames = [Image.fromarray(frame) for frame in pan(50)]
            frames[0].save(whole, save_all=True, append_images=frames[1:])
        else:
            # The index first, as clips from the web have it: such a file opens although its end is missing.
            options = {"g": "10"}
            make_clip(whole, pan(50), options=options, codec="flv1" if suffix == ".flv" else "libx264")
            if suffix == ".mp4":
                with av.open(str(whole)) as source, av.open(str(cut), "w", options={"movflags": "faststart"}) as out:
                    stream = out.add_stream_from_template(source.streams.video[0])
                    for packet in source.demux(video=0):
                        if packet.dts is not None:
                            packet.stream = stream
                            out.mux(packet)
                cut.rename(whole)
        content = whole.read_bytes()
        assert media.survey(whole).info.frames == 50
        cut.write_bytes(content[: len(content) * 7 // 10])
        with pytest.raises(MediaError, match=r"cut short|damaged"):
            media.survey(cut)

    def test_damaged_in_the_middle(self, tmp_path):
        path = make_clip(tmp_path / "a.mp4", pan(50), options={"crf": "5"})
        content = bytearray(path.read_bytes())
        start = content.index(b"mdat") + 5000
        content[start : start + 3000] = bytes(3000)
        path.write_bytes(content)
        with pytest.raises(MediaError, match=r"damaged|cut short"):
            media.survey(path)

    def test_playlists_open_nothing(self, tmp_path):
        make_clip(tmp_path / "secret.mp4", numbered(5))
        playlists = {
            "a.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n",
            "b.mp4": "ffconcat version 1.0\nfile secret.mp4\n",
            "c.mp4": "<?xml version='1.0'?><MPD></MPD>",
        }
        for name, text in playlists.items():
            (tmp_path / name).write_text(text)
            with pytest.raises(MediaError, match=r"it is (text|a playlist)"):
                media.survey(tmp_path / name)

    def test_sound_only_and_cover_art(self, tmp_path):
        with av.open(str(tmp_path / "a.m4a"), "w") as container:
            stream = container.add_stream("aac", rate=48_000, layout="mono")
            frame = av.AudioFrame.from_ndarray(clicks(0.5)[None], format="fltp", layout="mono")
            frame.sample_rate = 48_000
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        with pytest.raises(MediaError, match="only sound"):
            media.survey(tmp_path / "a.m4a")

    def test_size_that_changes(self, tmp_path):
        one, other = tmp_path / "a.ts", tmp_path / "b.ts"
        make_clip(one, pan(10))
        make_clip(other, pan(10, 128, 64))
        one.write_bytes(one.read_bytes() + other.read_bytes())
        with pytest.raises(MediaError, match=r"changes its size|runs backwards"):
            media.survey(one)

    def test_changed_after_the_survey(self, tmp_path):
        path = make_clip(tmp_path / "a.mp4", numbered(20))
        clip = media.survey(path)
        make_clip(path, numbered(10))
        with pytest.raises(MediaError, match="has lost frames"):
            list(clip.decode())
        make_clip(path, numbered(20, 128))
        with pytest.raises(MediaError, match="changed its size"):
            list(clip.decode())


def encode_patches(path: Path, matrix, pixels, color_range, *, side=32, really=None):
    """A clip of `PATCHES` whose conversion to YUV is computed here, from the definition of the matrix."""
    red, blue = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}.get(really or matrix, (0.299, 0.114))
    rgb = patches(side).astype(float) / 255
    luma = rgb @ [red, 1 - red - blue, blue]
    chroma_b, chroma_r = (rgb[..., 2] - luma) / (2 - 2 * blue), (rgb[..., 0] - luma) / (2 - 2 * red)
    deep = "10" in pixels
    unit = 4 if deep else 1
    if color_range == 2:
        planes = [luma * 255, chroma_b * 255 + 128, chroma_r * 255 + 128]
    else:
        planes = [(luma * 219 + 16) * unit, (chroma_b * 224 + 128) * unit, (chroma_r * 224 + 128) * unit]
    across, down = {"yuv420p": (2, 2), "yuv422p": (2, 1), "yuv444p": (1, 1)}[pixels.removesuffix("10le")]
    planes[1:] = [plane[::down, ::across] for plane in planes[1:]]
    dtype = np.uint16 if deep else np.uint8
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"} if not deep else {"crf": "1"})
        stream.height, stream.width = rgb.shape[:2]
        stream.pix_fmt = pixels
        context = stream.codec_context
        context.colorspace, context.color_range = matrix, color_range
        for number in range(2):
            frame = av.VideoFrame(stream.width, stream.height, pixels)
            for plane, values in zip(frame.planes, planes, strict=True):
                rows = np.zeros((plane.height, plane.line_size // np.dtype(dtype).itemsize), dtype)
                rows[:, : plane.width] = np.rint(values)
                plane.update(rows.tobytes())
            frame.pts = number
            frame.colorspace, frame.color_range = matrix, color_range
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def hostile():
    folder = Path(os.environ.get("VIDSTYLE_MEDIA", "")) / "hostile"
    if not os.environ.get("VIDSTYLE_MEDIA") or not folder.is_dir():
        pytest.skip("VIDSTYLE_MEDIA names no folder of real media")
    return folder


def test_hostile_files_are_read_or_refused(hostile):
    """Nothing but a MediaError comes out, and every clip decodes to what its survey promised."""
    for path in sorted(hostile.iterdir()):
        for read in (pictures.load_picture, media.survey):
            try:
                result = read(path)
            except MediaError:
                continue
            if isinstance(result, media.Clip):
                assert sum(1 for _ in result.decode()) == result.info.frames
            else:
                assert result.dtype == np.float32
                assert 0 <= result.min() <= result.max() <= 1
