"""`Colorizer`: grey photos of any kind in, colour photos of the same kind out."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar, Unpack, cast, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chromaserve.library.background import Background, local_settings
from chromaserve.library.colour_options import ColourOptions, order_for
from chromaserve.library.confidence import Confidence, confidence_of
from chromaserve.library.files import beside, check_several, format_of, of_page, pages_apart
from chromaserve.library.flow import Done, Flow, Place
from chromaserve.library.given import Given
from chromaserve.library.places import Output, P, places_of
from chromaserve.library.running import running, waited
from chromaserve.photos.formats import Wanted
from chromaserve.pipeline.order import Order

F = TypeVar("F", bytes, str, Path)


class Colorizer:
    """A model in this process, and the threads that photos go through; made once, used often.

    All methods may be called from several threads at once: their photos share batches. Close it,
    or use it as a context manager, to have its threads and memory back. A process that was forked
    needs one of its own.

        >>> with Colorizer() as colorizer:
        ...     png = colorizer.colorize(Path("photo.jpg").read_bytes(), vividness=0.8)
    """

    def __init__(
        self,
        model: str | int | None = None,
        *,
        model_root: Path | None = None,
        engine: Literal["auto", "savedmodel", "ncnn"] | None = None,
        device: Literal["auto", "cpu", "gpu"] | None = None,
        threads: int | None = None,
        max_pixels: int | None = None,
        timeout_s: float | None = None,
        cache_mb: float | None = None,
    ) -> None:
        """Load a model; blocks for a second or two, the first time on a machine for longer.

        What is left out has the value of the setting in the environment (`CHROMASERVE_ENGINE` and
        so on), or that setting's default; photos may have 200 megapixels and take 600 s.

        Args:
            model: version, a number or "latest".
            model_root: folder of models, the bundled ones by default.
            engine: what runs the model.
            device: where.
            threads: that the model runs on, on a CPU; 0 is one a core.
            max_pixels: of one photo.
            timeout_s: longest work on one photo, its waiting included.
            cache_mb: MiB of the model's answers that are kept, so that a photo with other options
                is done again without the model; 0 keeps none.

        Raises:
            ModelStoreError: the model is missing, damaged, or cannot run here.
            InvalidOptions: a setting is wrong, here or in the environment.
        """
        self.background = Background(
            local_settings(
                model_version=None if model is None else str(model),
                model_root=model_root,
                engine=engine,
                device=device,
                engine_threads=threads,
                max_pixels=max_pixels,
                photo_timeout_s=timeout_s,
                cache_mb=cache_mb,
            )
        )
        loaded = self.background.model
        self.model_version: int = loaded.version
        """Number of the version that colorizes."""
        self.engine: str = f"{loaded.engine.name} on {loaded.engine.device}"
        """What runs it and where, such as "ncnn on CPU (8 threads)"."""

    def colorize(
        self,
        photo: P,
        *,
        output: str | Path | None = None,
        format: Wanted | None = None,
        **options: Unpack[ColourOptions],
    ) -> P:
        """Give a photo colours, at its own size and with its luminance untouched.

        Args:
            photo: one of

                - bytes of a file (JPEG, PNG, TIFF, HEIC…): the result is an encoded file;
                - the path of such a file, a `Path` or a `str`: the result is written and its path
                  returned;
                - a Pillow image, turned upright by its EXIF and converted by its ICC profile: the
                  result is RGB or RGBA of 8 bits;
                - an array of sRGB, uint8 or uint16, [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] with
                  alpha: the result is of the same dtype, [H, W, 3] or [H, W, 4].
            output: for a path, where the result goes; by default NAME-colour.png beside it. A file
                that is there is replaced, but never the photo itself.
            format: encoding of the result, "png", "jpeg", "webp", "tiff", or "same" for the photo's
                own; by default that of `output`'s suffix, else png. Pixels have none.
            options: see `ColourOptions`.

        Returns:
            The same kind as the photo, and for bytes the same bytes as `POST /colorize`.

        Raises:
            InvalidOptions: an option is out of range, the format cannot hold the photo, or the
                result would take the photo's place, or the reference has no colours.
            BodyTooLarge: the file is larger than all photos in memory may be.
            DamagedPhoto, UnsupportedFormat, UnsupportedSamples, TooManyPixels: by what is wrong.
            PhotoTimeout, EngineFailed: see there.
            OSError: the file cannot be read or written.
            TypeError: the photo is of another kind, or `output` is given and it is no path.
            RuntimeError: this is closed, or was made before this process was forked.
        """
        place = None if output is None else Path(output)
        flow = self._flow(format or format_of(place), options)
        done = waited(self.background, flow, flow.colorize(cast(Given, photo), place))
        return cast(P, done.value)

    def confidence(
        self,
        photo: bytes | str | Path | Image.Image | NDArray[np.uint8] | NDArray[np.uint16],
        **options: Unpack[ColourOptions],
    ) -> Confidence:
        """How sure the colours are that `colorize` would give a photo.

        Args:
            photo: what `colorize` takes.
            options: as for `colorize`, and as for the result that is asked about.

        Raises:
            InvalidOptions: the model does not tell; or as `colorize`, whose other errors may come.
        """
        flow = self._flow("png", {**options, "confidence": "png"})
        return confidence_of(waited(self.background, flow, flow.unwritten(photo)))

    def pages(
        self,
        photo: F,
        *,
        output: str | Path | None = None,
        format: Wanted | None = None,
        **options: Unpack[ColourOptions],
    ) -> Iterator[F]:
        """Give each page of a TIFF colours, as it is asked for; of other files their photo.

        Args:
            photo: a file's bytes or path.
            output: for a path, what the results are named after: NAME-page-1.png and so on for
                NAME.png, which is NAME-colour.png by default; a file with one photo gives that.
            format: as for `colorize`.
            options: see `ColourOptions`.

        Errors are those of `colorize`, each when its page is asked for.
        """
        place = None if output is None else Path(output)
        for page in pages_apart(photo, options.get("damaged")):
            one: ColourOptions = {**options, "page": page, "pages": None}
            if page and not (place or isinstance(photo, bytes)):
                place = beside(Path(photo), format or "png")
            yield self.colorize(photo, output=place and of_page(place, page), format=format, **one)

    @overload
    def colorize_many(
        self,
        photos: Iterable[P],
        *,
        output: Output | None = None,
        format: Wanted | None = None,
        errors: Literal["raise"] = "raise",
        **options: Unpack[ColourOptions],
    ) -> Iterator[P]: ...

    @overload
    def colorize_many(
        self,
        photos: Iterable[P],
        *,
        output: Output | None = None,
        format: Wanted | None = None,
        errors: Literal["return"],
        **options: Unpack[ColourOptions],
    ) -> Iterator[P | Exception]: ...

    def colorize_many(
        self,
        photos: Iterable[P],
        *,
        output: Output | None = None,
        format: Wanted | None = None,
        errors: Literal["raise", "return"] = "raise",
        **options: Unpack[ColourOptions],
    ) -> Iterator[P | Exception]:
        """Colorize photos, several at a time: the results in order, as they are asked for.

        Decoding, model and encoding overlap, and photos go through the model in batches. The
        photos are read lazily, a few batches ahead of the results.

        Args:
            photos: any iterable of what `colorize` takes.
            output: for paths: the folder of the results, or what gives a result's path for a
                photo's; by default beside each photo, as where the folder is the photo's own.
                Photos of one name, such as a.jpg and a.tif, become a.png and a-2.png. Files are
                replaced, but none of the photos: in a list any, else those so far.
            format: as for `colorize`; by default png.
            errors: "raise" ends the iteration with the first error, "return" gives it in the place
                of the result and goes on.
            options: see `ColourOptions`.

        Raises:
            InvalidOptions: an option is out of range. Busy, EngineFailed, PhotoTimeout: of `album`.
            TypeError: `photos` is one photo. Exception: its own, after the results of those before.
        """
        check_several(photos)
        encoding = format or "png"
        flow = self._flow(encoding, options)
        if flow.is_gathered and not isinstance(photos, Sequence):
            photos = list(photos)
        if isinstance(photos, Sequence):
            flow.keep(photos)
        places = places_of(photos, output, encoding)
        if flow.is_gathered:
            self.background.start(flow.gather(cast("Sequence[Given]", photos))).result()
        return self._many(flow, places, errors)

    def outcomes(
        self,
        places: Iterable[tuple[Path, Path, bool]],
        format: Wanted,
        **options: Unpack[ColourOptions],
    ) -> Iterator[Done | Exception]:
        """As `colorize_many`, with times.

        Args:
            places: a photo's path, its result's, and whether that may replace a file.
            format: of the results.
            options: see `ColourOptions`.
        """
        flow = self._flow(format, options)
        if flow.is_gathered:
            places = list(places)
            self.background.start(flow.gather([photo for photo, _, _ in places])).result()
        return running(self.background, flow, places)

    def order(self, **options: Unpack[ColourOptions]) -> Order:
        """What is wanted of the pipeline for pixels, a reference being looked at already.

        Args:
            options: see `ColourOptions`.

        Raises:
            InvalidOptions: an option is out of range; or as `colorize` for the reference.
        """
        return self.background.start(self._flow("png", options).refer()).result()

    def close(self) -> None:
        """Cancel what runs and end the threads; harmless when that is done."""
        self.background.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _flow(self, encoding: Wanted, options: ColourOptions) -> Flow:
        background = self.background
        order = order_for(background.model, encoding, options)
        album, reference = bool(options.get("album")), options.get("reference")
        return Flow(background.pipeline, order, reference, album=album)

    def _many(
        self, flow: Flow, places: Iterable[tuple[P, Place]], errors: str
    ) -> Iterator[P | Exception]:
        for outcome in running(
            self.background, flow, ((photo, output, True) for photo, output in places)
        ):
            if isinstance(outcome, Exception):
                if errors != "return":
                    raise outcome
                yield outcome
            else:
                yield cast(P, outcome.value)
