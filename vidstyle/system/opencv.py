"""OpenCV, imported only here, because its import changes the environment of child processes.

It puts a folder and an empty element, which stands for the current folder, into LD_LIBRARY_PATH: ffmpeg would load a
librt.so.1 that lies beside somebody's clips.
"""

from vidstyle.system import environment

with environment.kept():
    import cv2
environment.tidy()  # somebody else may have imported it before

__all__ = ["cv2"]
