"""Video: raw frames in, coloured frames out, with colours that stay steady from one to the next."""

from chromaserve.video.colorize import FrameReport, colorize_frames
from chromaserve.video.frames import PixelFormat, TruncatedFrame
from chromaserve.video.steady import DEFAULT_SMOOTHING, SteadyColours

__all__ = [
    "DEFAULT_SMOOTHING",
    "FrameReport",
    "PixelFormat",
    "SteadyColours",
    "TruncatedFrame",
    "colorize_frames",
]
