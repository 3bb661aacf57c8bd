"""A clip is decoded from the key frame before a frame; the frames are those of decoding from its beginning."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from clips import make_clip, pan

av, video, reader = map(pytest.importorskip, ("av", "vidstyle.media.video", "vidstyle.media.video.reader"))

FRAMES, GOP = 40, 8
UNEVEN = [Fraction(number * number, 400) for number in range(FRAMES)]
# By name: the file, how it is encoded, and whether its frames are found from key frames.
KINDS = {
    "b_frames": ("a.mp4", {"options": {"bf": "3"}}, True),
    "matroska": ("a.mkv", {"options": {"bf": "3"}}, True),
    "quicktime": ("a.mov", {"codec": "mpeg4"}, True),
    "transport_stream": ("a.ts", {"codec": "mpeg2video", "options": {"bf": "2"}}, True),
    "flash": ("a.flv", {"codec": "flv1"}, True),
    "vp9": ("a.webm", {"codec": "libvpx-vp9", "options": {"deadline": "realtime"}}, True),
    "only_key_frames": ("a.avi", {"codec": "mjpeg", "pixels": "yuvj420p"}, False),
    "numbered_packets": ("a.avi", {"codec": "mpeg4", "options": {"bf": "2"}}, False),
    "varying_rate": ("a.mkv", {"times": UNEVEN}, True),
    "varying_rate_mp4": ("a.mp4", {"times": UNEVEN, "options": {"bf": "2"}}, True),
    "open_gop": ("a.mp4", {"options": {"x264-params": f"open-gop=1:bframes=3:keyint={GOP}:min-keyint={GOP}"}}, True),
    "refreshed_bit_by_bit": ("a.mkv", {"options": {"x264-params": f"intra-refresh=1:keyint={GOP}"}}, False),
    "rotated": ("a.mp4", {"rotation": 90}, True),
    "animation": ("a.gif", {"codec": "gif", "pixels": "rgb8"}, False),
}


@pytest.fixture
def decoded_anew(monkeypatch):
    """Notes each time that a clip is decoded from its beginning."""
    found, frames = [], reader.Reader.frames

    def noted(self, until=None):
        found.append(self.path)
        return frames(self, until)

    monkeypatch.setattr(reader.Reader, "frames", noted)
    return found


def moving(count=FRAMES):
    """Frames of which none is like another."""
    noise = np.random.default_rng(0)
    return [np.clip(one + noise.integers(-20, 20, one.shape), 0, 255).astype(np.uint8) for one in pan(count)]


def surveyed(path, **changes):
    seen = []
    return video.survey(path, on_frame=seen.append, **changes), seen


def same(found, wanted):
    found = list(found)
    return len(found) == len(wanted) and all(map(np.array_equal, found, wanted))


@pytest.mark.parametrize("kind", KINDS)
def test_from_any_frame(kind, tmp_path, decoded_anew):
    name, options, seeks = KINDS[kind]
    options = {**options, "options": {"g": str(GOP), **options.get("options", {})}}
    clip, seen = surveyed(make_clip(tmp_path / name, moving(), **options))
    assert len(seen) == FRAMES
    decoded_anew.clear()
    anew = []
    for start in range(FRAMES):
        assert same(clip.decode(start), seen[start:]), start
        anew += [start] * len(decoded_anew)
        decoded_anew.clear()
    assert max(anew) < 2 * GOP if seeks else len(anew) > 2 * GOP
    assert same(clip.decode(FRAMES), [])


def test_of_a_part(tmp_path, decoded_anew):
    path = make_clip(tmp_path / "a.mp4", moving(), options={"g": str(GOP), "bf": "2"})
    whole = surveyed(path)[1]
    clip, seen = surveyed(path, start=0.8, end=1.4)
    assert same(seen, whole[20:35])
    decoded_anew.clear()
    for start in range(15):
        assert same(clip.decode(start), whole[20 + start : 35])
    assert not decoded_anew


def test_few_packets_are_decoded(tmp_path, monkeypatch):
    """Those from the key frame on, and with times of decoding before those of showing one group more."""
    path = make_clip(tmp_path / "a.mp4", moving(), options={"g": str(GOP), "bf": "2"})
    clip = surveyed(path)[0]
    found, sought = [], reader.Reader.sought

    def noted(self, tick):
        for frame in sought(self, tick):
            found.append(frame)
            yield frame

    monkeypatch.setattr(reader.Reader, "sought", noted)
    list(clip.decode(FRAMES - 1))
    assert len(found) <= 2 * GOP


@pytest.mark.parametrize("damage", ["checksum", "later", "nowhere", "ticks"])
def test_an_index_that_is_wrong_costs_only_time(tmp_path, decoded_anew, damage):
    clip, seen = surveyed(make_clip(tmp_path / "a.mp4", moving(), options={"g": str(GOP)}))
    index, keys = clip.index, clip.index.keys
    changes = {
        "checksum": {"checksums": [*index.checksums[:30], 0, *index.checksums[31:]]},
        "later": {"keys": [(shown, keys[-1][1]) for shown, _ in keys]},
        "nowhere": {"keys": [(shown, 10**12) for shown, _ in keys]},
        "ticks": {"ticks": [tick + 1 for tick in index.ticks]},
    }
    wrong = dataclasses.replace(clip, index=dataclasses.replace(index, **changes[damage]))
    decoded_anew.clear()
    assert same(wrong.decode(25), seen[25:])
    assert len(decoded_anew) == 1


def test_times_that_are_not_the_files_have_no_index(tmp_path):
    path = make_clip(tmp_path / "a.mp4", moving(), options={"g": str(GOP)})
    assert video.survey(path).index is None  # its frames were not looked at
    assert surveyed(path)[0].index.keys[0][0] == 0


def test_a_clip_that_is_not_shown_alike_everywhere_has_no_index(tmp_path, monkeypatch):
    """Its first frame says how all are converted."""
    path = make_clip(tmp_path / "a.mp4", moving(), options={"g": str(GOP)})
    monkeypatch.setattr("vidstyle.media.video.clip.traits", lambda frame: frame.pts > 0)
    assert surveyed(path)[0].index is None
    assert surveyed(path, start=0.8)[0].index is None


def test_a_frame_is_told_by_its_samples_and_by_how_they_are_shown():
    wide = np.arange(50 * 34 * 3, dtype=np.uint32).astype(np.uint8).reshape(34, 50, 3)
    frame, same, other = (av.VideoFrame.from_ndarray(wide, format="rgb24").reformat(format="yuv420p") for _ in range(3))
    lines = np.frombuffer(same.planes[0], np.uint8).reshape(34, -1)
    filled = lines.copy()
    filled[:, 50:] += 1
    same.planes[0].update(filled.tobytes())
    assert reader.checksum(frame) == reader.checksum(same)
    filled[33, 49] += 1
    same.planes[0].update(filled.tobytes())
    other.color_range = 2
    assert len({reader.checksum(one) for one in (frame, same, other)}) == 3
