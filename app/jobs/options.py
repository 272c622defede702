"""What may be chosen for a job: the options of /colorize, and who is told when it has ended."""

from pydantic import Field

from chromaserve.errors import InvalidOptions
from chromaserve.pipeline.options import Options
from chromaserve.pipeline.order import Pages


class JobOptions(Options):
    """Options of one job; what is left out has the model's or the service's default."""

    callback: str | None = Field(
        default=None,
        max_length=4096,
        description="Address that is told when the job has ended, by a signed POST (Standard"
        " Webhooks); one of those that the service's settings allow.",
        examples=["https://shop.example.org/colour-done"],
    )

    pages: Pages = Field(
        default="first",
        description="Of a TIFF with several. first: one photo, and the answer tells of how many;"
        " all: every page, in one TIFF: with it goes format=tiff, or same.",
    )

    def check_for_jobs(self) -> None:
        """Raise InvalidOptions for what only an answer can have that somebody waits for."""
        if self.deadline_s is not None:
            raise InvalidOptions("deadline_s is for /colorize: a job takes the time that it takes.")
