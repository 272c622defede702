"""Pages of a request's photos, each of which is to have a result of its own."""

from chromaserve.photos.formats import Wanted
from chromaserve.pipeline.body import Body, Upload
from chromaserve.pipeline.options import Options
from chromaserve.pipeline.order import format_for
from chromaserve.pipeline.pages import apart
from chromaserve.settings import PipelineSettings

from .errors import TooManyPhotos


def take_apart(
    body: Body, wanted: Wanted, options: Options, settings: PipelineSettings, most: int
) -> None:
    """Put a photo for each page in the place of files with several; those that become TIFFs stay.

    Args:
        body: its photos are looked at.
        wanted: format of the results.
        options: of the request.
        settings: limits of a photo.
        most: photos of a request.

    Raises:
        TooManyPhotos: there are more pages than that.
    """
    found: list[Upload] = []
    for upload in body.uploads:
        if format_for(wanted, upload.header) == "tiff":
            found.append(upload)
        else:
            found += apart(upload, options.damaged, settings, most)
        if len(found) > most:
            raise TooManyPhotos(
                f"pages=all makes more than the {most} results that a request may have. Ask for"
                " format=tiff, which is one, or for single pages by page.",
                limit=most,
            )
    body.uploads = found
