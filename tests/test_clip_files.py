"""What is no clip, or only part of one, and what a file costs that is far too long."""

import struct
import time

import numpy as np
import pytest
from clips import make_clip, number_of, numbered, pan
from PIL import Image

from vidstyle.errors import MediaError, UsageError

av, media = map(pytest.importorskip, ("av", "vidstyle.media.video"))


def test_a_heic_photo_is_no_clip(tmp_path, vidstyle):
    heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "photo.mov"
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (600, 700, 3), np.uint8))
    heif.from_pillow(photo).save(tmp_path / "photo.heic")
    (tmp_path / "photo.heic").rename(path)
    with pytest.raises(MediaError, match=r"HEIC photo; .*`vidstyle image`"):
        media.survey(path)
    result = vidstyle("video", path, path, "-o", tmp_path / "out.mp4")
    assert result.exit_code == 3


def test_an_avif_picture_is_no_clip_but_an_animation_is(tmp_path):
    frames = [Image.fromarray(frame) for frame in numbered(3)]
    frames[0].save(tmp_path / "still.avif")
    frames[0].save(tmp_path / "moving.avif", save_all=True, append_images=frames[1:], duration=100)
    with pytest.raises(MediaError, match=r"AVIF picture; .*`vidstyle image`"):
        media.survey(tmp_path / "still.avif")
    assert [number_of(frame) for frame in media.survey(tmp_path / "moving.avif").decode()] == [0, 1, 2]


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "bmp", "tif"])
def test_other_pictures_are_no_clips(tmp_path, kind):
    Image.fromarray(next(pan(1))).save(tmp_path / f"a.{kind}")
    with pytest.raises(MediaError, match="is not a clip"):
        media.survey(tmp_path / f"a.{kind}")


def test_a_recording_without_an_index(tmp_path):
    path = make_clip(tmp_path / "a.mp4", numbered(20))
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov") - 4])
    with pytest.raises(MediaError, match=r"no index \(moov\)"):
        media.survey(path)
    path.write_bytes(content[:-100])
    with pytest.raises(MediaError, match=r"ends within its index"):
        media.survey(path)


@pytest.mark.parametrize("suffix", ["mkv", "avi"])
def test_a_download_that_kept_its_place(tmp_path, suffix):
    path = make_clip(tmp_path / f"a.{suffix}", pan(50), options={"crf": "5"})
    content = path.read_bytes()
    keep = len(content) * 6 // 10
    path.write_bytes(content[:keep] + bytes(len(content) - keep))
    with pytest.raises(MediaError, match=r"cut short|damaged"):
        media.survey(path)


def test_bytes_behind_the_end_do_no_harm(tmp_path):
    for suffix in ("mkv", "avi", "mp4", "gif"):
        path = tmp_path / f"a.{suffix}"
        if suffix == "gif":
            frames = [Image.fromarray(frame) for frame in numbered(8)]
            frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
        else:
            make_clip(path, numbered(8))
        path.write_bytes(path.read_bytes() + bytes(100))
        assert media.survey(path).info.frames == 8


def gif(width, height, frames):
    """A GIF of a few bytes a frame, each of one pixel."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"!\xf9\x04\x04\x0a\0\0\0," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02D\x01\0"
    return head + frame * frames + b";"


def test_a_million_frames_say_what_they_cost_at_once(tmp_path):
    path = tmp_path / "a.gif"
    path.write_bytes(gif(32, 32, 1_000_000))
    before = time.process_time()
    with pytest.raises(UsageError, match=r"1000000 frames .* 12 days .*--end"):
        media.survey(path)
    assert time.process_time() - before < 30  # a decoder takes a minute
    assert media.survey(path, end=1.0).info.frames == 10


def test_a_frame_larger_than_any_clip_has_is_refused_before_it_is_decoded(tmp_path):
    (tmp_path / "a.gif").write_bytes(gif(9000, 9000, 2))
    with pytest.raises(MediaError, match="9000x9000"):
        media.survey(tmp_path / "a.gif")
