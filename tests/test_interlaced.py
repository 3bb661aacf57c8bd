"""Interlaced clips: one whole picture for each pair of fields, at its own time."""

from fractions import Fraction

import numpy as np
import pytest
from clips import make_clip, numbered

av, media = map(pytest.importorskip, ("av", "vidstyle.media.video"))


def bar(moment, width=160, height=96):
    """A white bar that moves 4 pixels a field, (H, W, 3) uint8."""
    picture = np.full((height, width, 3), 40, np.uint8)
    picture[:, 8 + 4 * moment : 24 + 4 * moment] = 220
    return picture


def interlaced(path, count, *, codec="mpeg2video", first="tff", rate=25):
    """A clip whose frames are woven of the lines of two moments; `first` says whether the top field is the earlier."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=160, height=96, format=av.VideoFormat("yuv420p"), time_base=Fraction(1, rate))
    graph.link_nodes(source, graph.add("setfield", first), graph.add("buffersink")).configure()
    with av.open(str(path), "w") as container:
        flags = (
            {"flags": "+ilme+ildct", "b": "4M"} if codec == "mpeg2video" else {"x264-params": f"{first}=1", "crf": "8"}
        )
        stream = container.add_stream(codec, rate=rate, options={**flags, "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(count):
            pixels = bar(2 * number)
            later = slice(int(first == "tff"), None, 2)
            pixels[later] = bar(2 * number + 1)[later]
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv420p", interpolation="POINT")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            graph.vpush(frame)
            container.mux(stream.encode(graph.vpull()))
        container.mux(stream.encode(None))
    return path


def combs(frame):
    """How much neighbouring lines differ, in grey levels; none in these pictures do."""
    grey = frame.astype(int).mean(axis=2)
    return np.abs(np.diff(grey, axis=0)).mean()


@pytest.mark.parametrize("first", ["tff", "bff"])
@pytest.mark.parametrize(("name", "codec"), [("a.mpg", "mpeg2video"), ("a.mkv", "libx264"), ("a.mp4", "libx264")])
def test_fields_become_frames(tmp_path, name, codec, first):
    path = interlaced(tmp_path / name, 12, codec=codec, first=first)
    clip, raw = media.survey(path), media.survey(path, deinterlace="off")
    frames, woven_frames = list(clip.decode()), list(raw.decode())
    assert len(frames) == len(woven_frames) == clip.info.frames == 12
    assert clip.info == raw.info
    assert clip.info.fps == 25
    assert min(combs(frame) for frame in woven_frames) > 8
    assert max(combs(frame) for frame in frames) < 1.5
    # Frame n is of the moment of its first field, neither before nor behind it.
    bars = [np.flatnonzero(frame[48, :, 1] > 130).mean() for frame in frames]
    assert bars == pytest.approx([15.5 + 8 * number for number in range(12)], abs=1.5)
    assert [note for note in clip.notes if "deinterlaced" in note]
    assert raw.notes == ()


def test_part_of_an_interlaced_clip(tmp_path):
    path = interlaced(tmp_path / "a.mkv", 12, codec="libx264")
    whole, part = media.survey(path), media.survey(path, start=0.12, end=0.4)
    assert (part.first, part.info.frames) == (3, 7)
    for one, other in zip(list(whole.decode())[3:9], part.decode(), strict=False):
        assert (one == other).all()


def test_progressive_clips_are_let_alone(tmp_path):
    path = make_clip(tmp_path / "a.mp4", numbered(5))
    one, other = (media.survey(path, deinterlace=how) for how in ("auto", "off"))
    assert one.notes == ()
    assert all((a == b).all() for a, b in zip(one.decode(), other.decode(), strict=True))


@pytest.mark.clips
def test_the_command_line_deinterlaces_unless_told_not_to(tmp_path, vidstyle, network):
    path = interlaced(tmp_path / "a.mpg", 3)
    style = make_style(tmp_path / "style.png")
    few = ["--network", network, "--size", 160, "--iterations", 1, "--first-iterations", 1, "--alpha", 1]
    found = {}
    for how in ("auto", "off"):
        out = tmp_path / f"{how}.mp4"
        result = vidstyle("video", path, style, "-o", out, "--deinterlace", how, *few)
        assert result.exit_code == 0, result.output
        assert result.output.count("was deinterlaced") == (how == "auto")
        with av.open(str(out)) as container:
            frames = list(container.decode(video=0))
        assert not any(frame.interlaced_frame for frame in frames)
        found[how] = max(combs(frame.to_ndarray(format="rgb24")) for frame in frames)
    assert found["off"] > 2 * found["auto"]
    result = vidstyle("sheet", path, "-o", tmp_path / "sheet.png")
    assert result.exit_code == 0, result.output
    assert result.output.count("was deinterlaced") == 1


def make_style(path):
    from PIL import Image

    Image.fromarray(next(numbered(1))).save(path)
    return path
