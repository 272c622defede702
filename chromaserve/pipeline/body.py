"""Encoded photos of one request, and the memory that their bytes are charged to."""

from dataclasses import dataclass, replace

from chromaserve.photos.names import page_ending
from chromaserve.photos.photo import Header
from chromaserve.pipeline.memory import Share


@dataclass(eq=False)
class Upload:
    """One photo as it came."""

    name: str | None
    data: bytes
    header: Header | Exception | None = None
    """What its first bytes say, or what is wrong with them; None until it is looked at."""
    page: int | None = None
    """Which page of its file it is, from 1, where each has a result; None: the file as a whole."""

    @property
    def pixels(self) -> int:
        """Pixels that will be decoded, 0 while unknown and where nothing will be."""
        return self.header.pixels if isinstance(self.header, Header) else 0

    @property
    def ending(self) -> str:
        """What its result's name ends with before the suffix, such as "-page-2"."""
        return "" if self.page is None else page_ending(self.page)


class Body:
    """A request's photos and form fields; the memory they take is given back photo by photo."""

    def __init__(
        self,
        uploads: list[Upload],
        fields: list[tuple[str, str]],
        share: Share,
        reference: Upload | None = None,
    ) -> None:
        self.uploads = uploads
        self.fields = fields
        self.reference = reference
        """A photo whose colours the others are to have."""
        self._share = share
        self._more = 0

    async def hold(self, amount: int) -> None:
        """Take so many bytes more, until the end of the request.

        Raises:
            Busy: there is no room for them.
        """
        await self._share.grow(self._share.amount + amount)
        self._more += amount

    def repeat(self, times: int) -> None:
        """Have each photo so many times, for as many results; its bytes are there once."""
        before = self.uploads
        self.uploads = [replace(upload) for upload in before for _ in range(times)]
        for upload in before:  # which what is wrong with it may hold
            upload.data = b""

    def release(self, upload: Upload) -> None:
        """Forget a photo's bytes: it is decoded, or never will be."""
        upload.data = b""
        several = [*self.uploads, *([self.reference] if self.reference else [])]
        held = {id(each.data): len(each.data) for each in several}
        self._share.shrink(sum(held.values()) + self._more)
