"""Colours of clips by their tags. The right values are computed here, from the text of the standards."""

import re
import shlex
import subprocess

import numpy as np
import pytest
from soundclips import ffmpeg as run_ffmpeg

from vidstyle.errors import MediaError

av, media, ffmpeg = map(pytest.importorskip, ("av", "vidstyle.media.video", "vidstyle.system.ffmpeg"))

XYZ_TO_SRGB = np.array(  # CSS Color 4
    [
        [3.2409699419, -1.5373831776, -0.4986107603],
        [-0.9692436363, 1.8759675015, 0.0415550574],
        [0.0556300797, -0.2039769589, 1.0569715142],
    ]
)
P3_TO_XYZ = np.array(  # CSS Color 4
    [
        [0.4865709486, 0.2656676932, 0.1982172852],
        [0.2289745641, 0.6917385218, 0.0792869141],
        [0.0, 0.0451133819, 1.0439443689],
    ]
)
BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)  # BT.2087
BT601_525_TO_BT709 = np.array([[0.9395, 0.0502, 0.0103], [0.0178, 0.9658, 0.0164], [-0.0016, -0.0044, 1.0060]])
BT601_625_TO_BT709 = np.array([[1.0440, -0.0440, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0118, 0.9882]])
LUMA = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}  # of red and blue, by matrix
SIDE = 8  # pixels of a square of one colour


def to_linear(code):
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def to_code(light):
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def squares():
    """(4, 16, 3) codes in [0, 1]: a grey ramp, the cube's corners, and colours in between."""
    ramp = np.repeat(np.linspace(0, 1, 16)[:, None], 3, axis=1)
    corners = np.array([[n & 1, n >> 1 & 1, n >> 2] for n in range(8)], float)
    return np.stack(
        [ramp, np.concatenate([corners, corners * 0.6 + 0.2]), *np.random.default_rng(1).random((2, 16, 3))]
    )


def encode(path, codes, *, matrix=1, primaries=1, transfer=1, full=False, size=None):
    """A lossless clip of squares whose YCbCr is computed here, 10 bits."""
    red, blue = LUMA.get(matrix, LUMA[1])
    rgb = np.repeat(np.repeat(codes, SIDE, axis=0), SIDE, axis=1)
    luma = rgb @ [red, 1 - red - blue, blue]
    chroma = (rgb[..., 2] - luma) / (2 - 2 * blue), (rgb[..., 0] - luma) / (2 - 2 * red)
    planes = [luma * 1023, *(c * 1023 + 512 for c in chroma)]
    if not full:
        planes = [luma * 876 + 64, *(c * 896 + 512 for c in chroma)]
    tags = {"colorspace": matrix, "color_primaries": primaries, "color_trc": transfer, "color_range": 2 if full else 1}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = luma.shape
        stream.pix_fmt = "yuv444p10le"
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        frame = av.VideoFrame(stream.width, stream.height, "yuv444p10le")
        for plane, values in zip(frame.planes, planes, strict=True):
            rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
            rows[:, : plane.width] = np.clip(np.rint(values), 0, 1023)
            plane.update(rows.tobytes())
        frame.pts = 0
        for name, value in tags.items():
            setattr(frame, name, value)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read(path, **how):
    """The middle of each square."""
    clip = media.survey(path, **how)
    return next(clip.decode())[SIDE // 2 :: SIDE, SIDE // 2 :: SIDE].astype(int), clip


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("matrix", "primaries", "transfer", "to_srgb"),
    [
        (1, 1, 1, np.eye(3)),
        (1, 2, 13, np.eye(3)),
        (1, 12, 1, XYZ_TO_SRGB @ P3_TO_XYZ),
        (6, 12, 13, XYZ_TO_SRGB @ P3_TO_XYZ),
        (9, 9, 14, BT2020_TO_BT709),
        (9, 9, 15, BT2020_TO_BT709),
        (6, 6, 6, BT601_525_TO_BT709),
        (5, 5, 6, BT601_625_TO_BT709),
    ],
)
def test_primaries_are_converted_in_linear_light(tmp_path, matrix, primaries, transfer, to_srgb, full):
    codes = squares()
    path = encode(tmp_path / "a.mkv", codes, matrix=matrix, primaries=primaries, transfer=transfer, full=full)
    got, clip = read(path)
    assert np.abs(got - to_code(to_linear(codes) @ to_srgb.T)).max() <= 2
    assert clip.notes == ()


@pytest.mark.parametrize(
    ("transfer", "curve"),
    [(4, lambda v: v**2.2), (5, lambda v: v**2.8), (8, lambda v: v), (9, lambda v: 10 ** (2 * v - 2))],
)
def test_curves_of_displays_are_followed(tmp_path, transfer, curve):
    codes = squares()[:, 1:] * 0.9 + 0.05  # black has no logarithm; near it ten bits of light are coarse steps of sRGB
    got, _ = read(encode(tmp_path / "a.mkv", codes, transfer=transfer))
    assert np.abs(got - to_code(curve(codes))).max() <= 3


def pq(nits):
    """SMPTE ST 2084."""
    power = (np.asarray(nits) / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def unpq(code):
    power = np.asarray(code) ** (32 / 2523)
    return 10000 * (np.maximum(power - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * power)) ** (16384 / 2610)


def bt2390(nits, peak=1000.0, target=203.0):
    """The reference EETF of BT.2390-8, 5.4.1, black at 0."""
    first, top = pq(nits) / pq(peak), pq(target) / pq(peak)
    start = 1.5 * top - 0.5
    t = (first - start) / (1 - start)
    p = (2 * t**3 - 3 * t**2 + 1) * start + (t**3 - 2 * t**2 + t) * (1 - start) + (-2 * t**3 + 3 * t**2) * top
    return np.where(first < start, nits, unpq(p * pq(peak)))


def shown(nits):
    """sRGB of light in BT.2020's primaries, toned by its brightest channel."""
    brightest = np.maximum(nits.max(axis=-1, keepdims=True), 1e-9)
    return to_code(nits * bt2390(brightest) / brightest / 203 @ BT2020_TO_BT709.T)


def test_pq_is_tone_mapped(tmp_path):
    codes = squares() * float(pq(1000))
    got, clip = read(encode(tmp_path / "a.mkv", codes, matrix=9, primaries=9, transfer=16))
    assert np.abs(got - shown(unpq(codes))).max() <= 3
    assert (np.diff(got[0, :, 0]) >= 0).all()
    assert got[0, -1].tolist() == [255, 255, 255]
    assert [note for note in clip.notes if "HDR (PQ)" in note]


def test_hlg_is_tone_mapped(tmp_path):
    codes = squares()
    a, b, c = 0.17883277, 0.28466892, 0.55991073  # BT.2100
    scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)
    nits = 1000 * scene * (scene @ [0.2627, 0.6780, 0.0593])[..., None] ** 0.2
    got, clip = read(encode(tmp_path / "a.mkv", codes, matrix=9, primaries=9, transfer=18))
    assert np.abs(got - shown(nits)).max() <= 3
    assert [note for note in clip.notes if "HDR (HLG)" in note]


def test_hdr_can_be_refused_with_a_command_that_works(tmp_path):
    path = encode(tmp_path / "my clip.mkv", squares(), matrix=9, primaries=9, transfer=18)
    with pytest.raises(MediaError, match="HDR clip") as error:
        media.survey(path, hdr="refuse")
    words = shlex.split(re.search(r"ffmpeg -i .*", str(error.value))[0])
    subprocess.run([ffmpeg.executable(), "-v", "error", *words[1:]], check=True)
    got, clip = read(tmp_path / "my clip.sdr.mp4", hdr="refuse")
    assert clip.info.frames == 1
    assert (np.diff(got[0, :, 0]) >= -1).all()


def test_what_cannot_be_converted_is_refused(tmp_path):
    for name, tags in {"matrix 14": {"matrix": 14}, "matrix 8": {"matrix": 8}, "matrix 10": {"matrix": 10}}.items():
        with pytest.raises(MediaError, match=name):
            read(encode(tmp_path / "a.mkv", squares(), **tags))


def test_dolby_vision_profile_5_is_refused(tmp_path):
    path = tmp_path / "a.mp4"
    # Not through PyAV, whose muxer refused x265's header now and then in a process that had run other tests.
    picture = ["-f", "lavfi", "-i", "testsrc=size=96x64:rate=25:duration=0.08", "-pix_fmt", "yuv420p10le"]
    run_ffmpeg(*picture, "-c:v", "libx265", "-x265-params", "log-level=none", "-tag:v", "hvc1", path)
    assert len(list(media.survey(path).decode())) == 2
    path.write_bytes(path.read_bytes().replace(b"hvc1", b"dvh1"))
    with pytest.raises(MediaError, match="Dolby Vision"):
        media.survey(path)
