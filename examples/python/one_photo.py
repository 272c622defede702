"""Colorize one photo on a service.

python one_photo.py photo.jpg colour.png
CHROMASERVE_URL=https://photos.example CHROMASERVE_API_KEY=... python one_photo.py a.jpg b.png
"""

import os
import sys
from pathlib import Path

from chromaserve import BadPhoto, Client, TooBusy

URL = os.environ.get("CHROMASERVE_URL", "http://localhost:8000")


def main(photo: Path, output: Path) -> int:
    """Write the photo in colour; the exit status."""
    with Client(URL, api_key=os.environ.get("CHROMASERVE_API_KEY")) as client:
        try:
            result = client.colorize(photo, vividness=0.8)
        except BadPhoto as problem:
            print(f"{photo}: {problem.detail}", file=sys.stderr)
            return 1
        except TooBusy as problem:  # after several attempts
            print(f"Try again in {problem.retry_after_s or 60:.0f} s.", file=sys.stderr)
            return 75
    result.save(output)
    print(f"{output}: {len(result.data):,} bytes, {result.timings['total']:.0f} ms on the service")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
