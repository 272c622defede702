"""What a user of the page does and sees: photos put in, pixels on the stage."""

import base64
import io
from pathlib import Path
from typing import Any, Literal

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import FilePayload, Page
from skimage.color import rgb2lab

ROOT = Path(__file__).resolve().parent.parent.parent
GREY = ROOT / "samples" / "grey"
DONE = "#stage[aria-busy=false]"


def photo(name: str) -> bytes:
    return (GREY / name).read_bytes()


def choose(page: Page, **files: bytes) -> None:
    """Put photos in, as the file chooser does; they are called by the keywords, as JPEGs."""
    payloads: list[FilePayload] = [
        {"name": f"{name}.jpg", "mimeType": "image/jpeg", "buffer": data}
        for name, data in files.items()
    ]
    page.set_input_files("#chooser", payloads)


def bring(page: Page, how: Literal["drop", "paste"], name: str, data: bytes) -> None:
    """Let a file fall on the page, or paste it."""
    transfer = page.evaluate_handle(
        """([name, data]) => {
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name));
            return transfer;
        }""",
        [name, base64.b64encode(data).decode()],
    )
    event = {"dataTransfer": transfer, "clipboardData": transfer, "bubbles": True}
    if how == "drop":
        page.dispatch_event("body", "drop", event)
    else:
        page.locator("body").evaluate(
            "(body, event) => body.dispatchEvent(new ClipboardEvent('paste', event))", event
        )


def advanced(page: Page) -> None:
    """Open what few people need."""
    page.get_by_text("Advanced").click()


def seen(page: Page) -> NDArray[np.float64]:
    """The photo as it is on the screen, in CIE Lab [H, W, 3]."""
    shot = page.locator("#photo").screenshot()
    with Image.open(io.BytesIO(shot)) as image:
        return np.asarray(rgb2lab(np.asarray(image.convert("RGB"))))


def chroma(lab: NDArray[np.float64]) -> float:
    """Mean distance from grey in Lab units."""
    return float(np.hypot(lab[..., 1], lab[..., 2]).mean())


def answer(http: httpx.Client, data: bytes, **options: Any) -> bytes:  # noqa: ANN401
    """The API's answer for a photo, without the page."""
    given = httpx.QueryParams({key: str(value) for key, value in options.items()})
    response = http.post("/colorize", params=given, content=data)
    assert response.status_code == 200, response.text
    return response.content
