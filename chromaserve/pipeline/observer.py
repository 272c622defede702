"""Who is told what the pipeline does: metrics where there are some, else nobody."""

from chromaserve.pipeline.timings import Timings


class Observer:
    """Told of photos, answers and batches as they come; this one forgets them."""

    def colorized(self, timings: Timings, version: int, engine: str) -> None:
        """A photo is done: where its time went, and the model that coloured it."""

    def not_colorized(self, outcome: str, photos: int = 1) -> None:
        """Photos came to nothing: "cancelled", or the slug of their error."""

    def answer(self, *, kept: bool) -> None:
        """A model was asked about a photo, and its answer was kept from before, or was not."""

    def batch(self, photos: int) -> None:
        """So many photos went through a model together; called on the model's thread."""
