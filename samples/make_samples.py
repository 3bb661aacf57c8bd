"""Make every sample in this folder again: all of it is drawn and played by the code beside this file.

    python make_samples.py [--out FOLDER] [--only NAME ...]   pictures and the clip
    python make_samples.py --flow FOLDER                      the clip's frames, exact optical flow and visibility

Needs numpy, opencv-python and imageio-ffmpeg; takes some minutes on two cores.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import wave
from collections.abc import Callable, Iterable
from pathlib import Path

import clip
import cv2
import imageio_ffmpeg
import marks
import numpy as np
import paintings
import scenes
from fractal import Array
from numpy.typing import NDArray

RATE = 48000  # samples of sound per second
PICTURES: dict[str, Callable[[], Array]] = {
    "harbor": scenes.harbor,
    "valley": scenes.valley,
    "swirls": paintings.swirls,
    "facets": paintings.facets,
    "woodcut": marks.woodcut,
    "dots": marks.dots,
}
BT709 = (
    "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,"
    "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
)


def save(path: Path, image: Array) -> None:
    """Write an (H, W, 3) sRGB picture in [0, 1] as JPEG."""
    pixels = np.round(np.clip(image[..., ::-1], 0, 1) * 255).astype(np.uint8)
    if not cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 89]):
        raise OSError(f"cannot write {path}")


def save_transparent(path: Path, image: Array) -> None:
    """Write an (H, W, 4) sRGB picture in [0, 1] with its opacity as PNG."""
    pixels = np.round(np.clip(image[..., [2, 1, 0, 3]], 0, 1) * 255).astype(np.uint8)
    if not cv2.imwrite(str(path), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise OSError(f"cannot write {path}")


def tune(seconds: float) -> NDArray[np.int16]:
    """(N, 2) sound of the clip: wheels over rail joints, a rumble, and a plucked melody that ends on its key note."""
    count = round(seconds * RATE)
    t = np.arange(count) / RATE
    rng = np.random.default_rng(7)
    rumble = np.convolve(rng.normal(0, 1, count), np.hanning(400) / 60, "same") * 0.05
    sound = np.stack([rumble, np.roll(rumble, 300)], axis=-1)
    for joint in np.arange(0.05, seconds, 0.625):  # da-dum, da-dum
        for late, loud in ((0.0, 0.20), (0.14, 0.15)):
            since = np.clip(t - joint - late, 0, None)
            knock = (np.sin(2 * np.pi * 84 * since) + 0.5 * np.sin(2 * np.pi * 231 * since)) * np.exp(-since * 28)
            sound += (loud * knock * (since > 0))[:, None]
    melody = [0, 4, 7, 12, 11, 7, 4, 2, 0]  # semitones above D4, two notes a beat
    for k, note in enumerate(melody):
        since = np.clip(t - 0.25 * k, 0, None)
        pitch = 293.66 * 2 ** (note / 12)
        pluck = sum(
            np.sin(2 * np.pi * pitch * h * since) * np.exp(-since * (2.2 + 1.8 * h)) / h**1.3 for h in range(1, 7)
        )
        side = 0.5 + 0.35 * np.sin(k)
        sound += 0.16 * np.outer(pluck * (1 - np.exp(-since * 900)), [1 - side, side])
    fade = np.clip((seconds - t) / 0.12, 0, 1)[:, None]
    return np.round(np.clip(sound * fade, -1, 1) * 32000).astype(np.int16)


def encode(path: Path, images: Iterable[NDArray[np.uint8]], width: int, height: int, sound: NDArray[np.int16]) -> None:
    """Write an MP4: H.264 4:2:0 tagged BT.709, AAC, index first. Raises `RuntimeError` with ffmpeg's words."""
    with tempfile.TemporaryDirectory() as folder:
        track, video = Path(folder, "sound.wav"), Path(folder, "video.rgb")
        with wave.open(str(track), "wb") as file:
            file.setnchannels(sound.shape[1])
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(sound.tobytes())
        with video.open("wb") as raw:
            for image in images:
                raw.write(image.tobytes())
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-y"]
        command += [
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-s",
            f"{width}x{height}",
            "-r",
            str(clip.FPS),
            "-i",
            str(video),
        ]
        command += ["-i", str(track), "-vf", BT709, "-c:v", "libx264", "-preset", "slow", "-crf", "20", "-threads", "1"]
        command += [
            "-c:a",
            "aac",
            "-b:a",
            "96k",
            "-fflags",
            "+bitexact",
            "-flags:v",
            "+bitexact",
            "-flags:a",
            "+bitexact",
        ]
        command += ["-movflags", "+faststart", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"ffmpeg could not write {path}: {done.stderr.strip()}")


def make_clip(path: Path, frames: int = 60, width: int = 480, height: int = 270) -> None:
    """Render, play and encode the clip."""
    images = (image for image, _, _ in clip.render_clip(frames, width, height))
    encode(path, images, width, height, tune(frames / clip.FPS))


def write_truth(folder: Path, frames: int = 60, width: int = 480, height: int = 270) -> None:
    """Write frame_0000.png …, flow_0001.npy … ((2, H, W) float32) and visible_0001.png … (0 = hidden before)."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, (image, flow, visible) in enumerate(clip.render_clip(frames, width, height)):
        cv2.imwrite(str(folder / f"frame_{n:04d}.png"), image[..., ::-1])
        if n:
            np.save(folder / f"flow_{n:04d}.npy", flow)
            cv2.imwrite(str(folder / f"visible_{n:04d}.png"), visible.astype(np.uint8) * 255)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="FOLDER", help="where to write")
    names = [*PICTURES, "balloon", "ride"]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--flow", type=Path, metavar="FOLDER", help="write the clip's exact flow there instead")
    chosen = parser.parse_args()
    if chosen.flow:
        write_truth(chosen.flow)
        return
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name in chosen.only:
        if name == "ride":
            make_clip(chosen.out / "ride.mp4")
        elif name == "balloon":
            save_transparent(chosen.out / "balloon.png", clip.balloon())
        else:
            save(chosen.out / f"{name}.jpg", PICTURES[name]())
        print(f"made {name}")


if __name__ == "__main__":
    main()
