"""Clips of every container, codec, order of frames, offset and cut that ffmpeg makes, read as plain PyAV reads them.

Each frame bears its number, so that its picture says when it must be shown: number / rate.
"""

import random
import re
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from clips import number_of, numbered

from vidstyle.errors import MediaError

av, media, ffmpeg = map(pytest.importorskip, ("av", "vidstyle.media.video", "vidstyle.system.ffmpeg"))

FRAMES = 14
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "6", "-bf"]
OPEN = [*H264, "2", "-x264-params", "open-gop=1:scenecut=0:b-adapt=0"]
HEVC = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=6:min-keyint=6:open-gop=1"]
MPEG = ["-q:v", "2", "-g", "6", "-bf"]
CODECS = {
    "h264": [*H264, "0"],
    "h264 with B": [*H264, "2", "-x264-params", "b-adapt=0"],
    "h264 open": OPEN,
    "hevc": HEVC,
    "mpeg4": ["-c:v", "mpeg4", *MPEG, "0"],
    "mpeg4 with B": ["-c:v", "mpeg4", *MPEG, "2"],
    "xvid with B": ["-c:v", "mpeg4", "-vtag", "xvid", *MPEG, "2"],
    "mpeg2": ["-c:v", "mpeg2video", *MPEG, "0"],
    "mpeg2 with B": ["-c:v", "mpeg2video", *MPEG, "2"],
    "mpeg1": ["-c:v", "mpeg1video", *MPEG, "2"],
    "vp8": ["-c:v", "libvpx", "-deadline", "realtime", "-b:v", "1M"],
    "vp9": ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"],
    "mjpeg": ["-c:v", "mjpeg", "-q:v", "2"],
    "prores": ["-c:v", "prores_ks"],
    "ffv1": ["-c:v", "ffv1"],
    "theora": ["-c:v", "libtheora", "-q:v", "8"],
    "wmv": ["-c:v", "wmv2", "-q:v", "2"],
    "flv1": ["-c:v", "flv", "-q:v", "2"],
    "rle": ["-c:v", "qtrle"],
    "dv": ["-c:v", "dvvideo", "-s", "720x576", "-pix_fmt", "yuv420p"],
    "gif": ["-c:v", "gif", "-gifflags", "-offsetting"],
    "apng": ["-c:v", "apng"],
    "raw": ["-c:v", "rawvideo", "-pix_fmt", "yuv420p"],
}
MPEG4S, H26X = ("mpeg4", "mpeg4 with B", "xvid with B"), ("h264", "h264 with B", "h264 open", "hevc")
CONTAINERS = {  # and the sound that goes into them
    "mp4": ((*H26X, *MPEG4S[:2], "mpeg2 with B", "vp9"), "aac"),
    "mov": ((*H26X, *MPEG4S[:2], "mjpeg", "prores", "rle"), "pcm_s16le"),
    "mkv": ((*H26X, *MPEG4S, "mpeg2 with B", "vp8", "vp9", "ffv1", "mjpeg", "theora", "prores"), "libopus"),
    "webm": (("vp8", "vp9"), "libopus"),
    "avi": ((*MPEG4S, "mpeg2", "mpeg2 with B", "h264", "h264 with B", "mjpeg", "ffv1", "raw", "wmv"), "libmp3lame"),
    "ts": ((*H26X, "mpeg2 with B", "mpeg1"), "mp2"),
    "mpg": (("mpeg1", "mpeg2", "mpeg2 with B"), "mp2"),
    "flv": (("flv1", "h264", "h264 with B"), "aac"),
    "ogv": (("theora",), "libvorbis"),
    "wmv": (("wmv", "h264"), "wmav2"),
    "nut": ((*H26X, "mpeg4 with B", "ffv1"), "libopus"),
    "mxf": (("mpeg2",), "pcm_s16le"),
    "dv": (("dv",), None),
    "ivf": (("vp8", "vp9"), None),
    "y4m": (("raw",), None),
    "h264": (("h264", "h264 with B"), None),
    "hevc": (("hevc",), None),
    "m2v": (("mpeg2", "mpeg2 with B"), None),
    "m4v": (("mpeg4", "mpeg4 with B"), None),
    "mjpeg": (("mjpeg",), None),
    "gif": (("gif",), None),
    "apng": (("apng",), None),
}
FORMATS = {"m4v": "m4v", "mjpeg": "mjpeg", "mkv": "matroska", "y4m": "yuv4mpegpipe", "wmv": "asf", "ts": "mpegts"}
RATES = ("25", "10", "30", "60", "24000/1001", "30000/1001")
TWISTS = ("none", "none", "offset", "cut", "cut and rewrapped", "dropped", "late sound", "fragments", "index in front")
FIXED_RATE = {"mjpeg": 25, "m4v": None, "dv": 25, "mxf": 25}  # what the format knows; m4v has no clock of its own
CLOCKLESS = ("h264", "hevc", "m2v", "m4v", "mjpeg", "y4m", "dv")  # one frame after the other, whatever happened
# Refusals, each with the reason for which it is right.
REFUSALS = (
    ("holds no (frame that can be decoded|moving pictures)", ""),  # the cut left none that can be decoded alone
    ("is not a clip that can be read", ""),  # the cut left an empty file
    ("runs backwards", "ogv"),  # ffmpeg writes times before 0, which Ogg has not, as 2**58
)
NO_LAST_DURATION = ("wmv",)  # containers that do not say how long the last frame lasts


@dataclass(frozen=True)
class Case:
    container: str
    codec: str
    rate: Fraction
    sound: bool
    twist: str

    @classmethod
    def of(cls, seed):
        dice = random.Random(seed)
        container = dice.choice(list(CONTAINERS))
        codecs, sound = CONTAINERS[container]
        rate = Fraction(FIXED_RATE.get(container) or dice.choice(RATES[:2] if container == "gif" else RATES))
        return cls(container, dice.choice(codecs), rate, bool(sound) and dice.random() < 0.5, dice.choice(TWISTS))

    def make(self, folder):
        """The clip; None if ffmpeg does not make such a one."""
        first, second = folder / f"first.{self.container}", folder / f"second.{self.container}"
        length = float(FRAMES / self.rate)
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "96x64", "-r", str(self.rate), "-i", "-"]
        if self.sound:
            late = ["-itsoffset", "0.3"] if self.twist == "late sound" else []
            source += [*late, "-f", "lavfi", "-i", f"sine=duration={length}", "-c:a", CONTAINERS[self.container][1]]
        coding = list(CODECS[self.codec])
        if self.twist == "dropped":
            coding += ["-vf", "select=not(eq(n\\,4)+eq(n\\,5)+eq(n\\,9))", "-fps_mode", "passthrough"]
        if self.container in ("mp4", "mov"):
            flags = {"fragments": "frag_keyframe+empty_moov", "index in front": "faststart"}.get(self.twist)
            coding += ["-movflags", flags] if flags else []
        form = ["-f", FORMATS.get(self.container, self.container)] if self.container in FORMATS else []
        pictures = b"".join(frame.tobytes() for frame in numbered(FRAMES))
        if not run([*source, *coding, *form, first], pictures):
            return None
        if self.twist == "offset":
            return second if run(["-i", first, "-c", "copy", "-output_ts_offset", "1.3", *form, second]) else None
        if self.twist.startswith("cut"):
            between = folder / "between.mkv" if "rewrapped" in self.twist else second
            if not run(
                ["-ss", str(length * 0.35), "-i", first, "-c", "copy", *(form if between is second else []), between]
            ):
                return None
            if between is not second and not run(["-i", between, "-c", "copy", *form, second]):
                return None
            return second
        return first


def run(arguments, pictures=None):
    command = [ffmpeg.executable(), "-v", "quiet", "-y", "-threads", "1", *map(str, arguments)]
    return subprocess.run(command, input=pictures, capture_output=True, check=False).returncode == 0


def plain(path):
    """What PyAV alone makes of a clip: the numbers in its pictures, and their seconds; None without pictures.

    The seconds are those of the frames and, for formats that know no other, of the packets; times that do not rise are
    none. Packets that cannot be decoded are left out.
    """
    numbers, times, decoding = [], [], []
    try:
        with av.open(str(path)) as container:
            for packet in container.demux(container.streams.best("video")):
                if packet.size and packet.dts is not None:
                    decoding.append(float(packet.dts * packet.time_base))
                try:
                    frames = packet.decode()
                except av.InvalidDataError:
                    continue
                for frame in frames:
                    if not frame.is_corrupt:
                        numbers.append(number_of(frame.to_ndarray(format="rgb24")))
                        times.append(frame.time)
    except (av.FFmpegError, AttributeError):
        return None
    if not numbers:
        return None
    rising = [said for said in (times, decoding) if None not in said and all(a < b for a, b in pairwise(said))]
    return numbers, [[time - said[0] for time in said] for said in rising if len(said) == len(numbers)]


def check(seed, folder):
    """Whether there is such a clip; asserts that it is read right."""
    case = Case.of(seed)
    path = case.make(folder)
    if path is None:
        return False
    alone = plain(path)
    clip, refusal = None, ""
    try:
        clip = media.survey(path)
        got = [number_of(np.asarray(frame)) for frame in clip.decode()]
    except MediaError as error:
        refusal = str(error)
    if clip is None:
        listed = [text for text, where in REFUSALS if re.search(text, refusal) and where in ("", case.container)]
        assert listed, (case, refusal)
        assert alone is None or "backwards" in listed[0], (case, refusal)
        return True
    assert not refusal, (case, refusal)
    assert alone is not None, case
    numbers, said = alone
    assert got == numbers, case
    with av.open(str(path)) as container:
        tick = float(container.streams.best("video").time_base)
    # Cut files have been through Matroska, which counts milliseconds; an APNG rounds how long each frame is shown.
    slack = max(min(1.5 * tick, 0.6 / case.rate), 0.001 if case.twist == "cut and rewrapped" else 0.0001)
    moments = [number - got[0] for number in got]
    rate = case.rate
    if case.container in CLOCKLESS:
        moments, rate = list(range(len(got))), clip.info.fps
        assert rate == case.rate or case.container == "m4v" or case.twist.startswith("cut"), (case, rate)
    times = [float(time - clip.times[0]) for time in clip.times]
    drawn = [float(moment / rate) for moment in moments]
    # ffmpeg itself gives some frames another time (the first of an AVI with MP3 stays for longer); then that rules.
    assert any(times == pytest.approx(right, abs=slack) for right in (drawn, *said)), (case, times)
    step = float(clip.end_seconds - clip.times[-1])
    steps = [1 / float(rate)] + [1 / float(clip.info.fps)] * (case.container in NO_LAST_DURATION)
    assert any(step == pytest.approx(right, abs=2 * slack + 0.001) for right in steps), (case, clip.info)
    return True


@pytest.mark.parametrize("seed", range(40))
def test_clips_are_read_as_they_are(tmp_path, seed):
    if not check(seed, tmp_path):
        pytest.skip("ffmpeg makes no such clip")


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(40, 440))
def test_many_more(tmp_path, seed):
    if not check(seed, tmp_path):
        pytest.skip("ffmpeg makes no such clip")
