"""Colorize a folder on a service, many photos in one request, each written as it arrives.

python folder.py old-photos colour
"""

import asyncio
import os
import sys
from pathlib import Path

from chromaserve import AsyncClient, Result

URL = os.environ.get("CHROMASERVE_URL", "http://localhost:8000")
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}


async def main(folder: Path, output: Path) -> int:
    """Write all photos of the folder in colour; how many failed."""
    if output.exists():  # with results of before, or with the photos
        sys.exit(f"{output} is there already")
    output.mkdir(parents=True)
    photos = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    failed = 0
    async with AsyncClient(URL, api_key=os.environ.get("CHROMASERVE_API_KEY")) as client:
        await client.wait_ready()
        async for position, name, outcome in client.colorize_many(photos, format="webp"):
            if isinstance(outcome, Result):
                outcome.save(output)
                print(f"{position + 1}/{len(photos)} {name} → {outcome.name}")
            else:
                failed += 1
                print(f"{position + 1}/{len(photos)} {name}: {outcome}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]))) else 0)
