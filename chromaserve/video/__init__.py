"""Video: films or raw frames in, coloured ones out, with colours that stay steady over time."""

from chromaserve.video.colorize import FrameReport, colorize_frames
from chromaserve.video.film import FilmReport, colorize_film
from chromaserve.video.frames import PixelFormat, TruncatedFrame
from chromaserve.video.steady import DEFAULT_SMOOTHING, SteadyColours

__all__ = [
    "DEFAULT_SMOOTHING",
    "FilmReport",
    "FrameReport",
    "PixelFormat",
    "SteadyColours",
    "TruncatedFrame",
    "colorize_film",
    "colorize_frames",
]
