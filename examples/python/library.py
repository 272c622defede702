"""Colorize without a service: the model in this process.

python library.py photo.jpg colour.png
"""

import sys
from pathlib import Path

from PIL import Image

from chromaserve import Colorizer


def main(photo: Path, output: Path) -> None:
    """Write the photo in colour, with its timid and its lively version beside it."""
    with Image.open(photo) as grey, Colorizer() as colorizer:
        print(f"model {colorizer.model_version}, {colorizer.engine}")
        versions = [colorizer.colorize(grey, vividness=each) for each in (0.0, 0.5, 1.0)]
    width, height = versions[0].size
    sheet = Image.new("RGB", (width * len(versions), height))
    for i, version in enumerate(versions):
        sheet.paste(version, (i * width, 0))
    sheet.save(output)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
