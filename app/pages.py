"""Pages of a request's photos, each of which is to have a result of its own."""

from dataclasses import replace

from chromaserve.pipeline.body import Body, Upload
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.pages import apart
from chromaserve.settings import PipelineSettings

from .errors import TooManyPhotos


def take_apart(body: Body, order: Order, settings: PipelineSettings, most: int) -> Order:
    """Put a photo for each page in the place of files with several; those that become TIFFs stay.

    Args:
        body: its photos are looked at.
        order: what is wanted of them; its hints name files of one page by number.
        settings: limits of a photo.
        most: photos of a request.

    Returns:
        The order, its hints naming the photos that there are now.

    Raises:
        TooManyPhotos: there are more pages than that.
    """
    found: list[Upload] = []
    first: dict[object, int] = {}
    for file, upload in enumerate(body.uploads):
        first[file] = len(found)
        if order.format_for(upload.header) == "tiff":
            found.append(upload)
        else:
            found += apart(upload, order.damaged, settings, most)
        if len(found) > most:
            raise TooManyPhotos(
                f"pages=all makes more than the {most} results that a request may have. Ask for"
                " format=tiff, which is one, or for single pages by page.",
                limit=most,
            )
    body.uploads = found
    hints = [hint.model_copy(update={"photo": first.get(hint.photo)}) for hint in order.hints]
    return replace(order, hints=tuple(hints))
