"""`chromaserve jobs`: photos handed to a service, to be fetched when they are done."""

import json
import os
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chromaserve.command_line.colorists import Service, answers
from chromaserve.command_line.exits import Complaint, Exit, by_options, complaints, say
from chromaserve.command_line.folders import COLOUR, LINKED, photos_below
from chromaserve.command_line.places import check_words
from chromaserve.command_line.shared_options import (
    AlbumFlag,
    ApiKey,
    Colour,
    Damaged,
    Format,
    Hints,
    Json,
    Look,
    Metadata,
    Model,
    Pages,
    Patience,
    Postprocess,
    Proposals,
    Quality,
    Quiet,
    Reference,
    Vividness,
    as_written,
    read_hints,
)

if TYPE_CHECKING:
    from chromaserve.client import Address, Client, JobStatus

jobs = typer.Typer(help="Hand photos to a service, and fetch the results when they are done.")

ServiceUrl = Annotated[
    str,
    typer.Option("--url", metavar="URL", envvar="CHROMASERVE_URL", help="Where the service is."),
]
Id = Annotated[str, typer.Argument(metavar="ID", help="Of the job, as submit tells it.")]
_HERE = "http://localhost:8000"


@contextmanager
def _service(url: str, api_key: str | None, patience: float | None = None) -> "Iterator[Client]":
    with complaints(), answers(url), Service(url, api_key, patience).client() as client:
        yield client


@contextmanager
def _told_of(key: str) -> Iterator[None]:
    """Name the key where nobody knows whether the service has the job."""
    from chromaserve.client import Unreachable

    again = f"the service may have the job: with --idempotency-key {key} it is the same one again"
    try:
        yield
    except KeyboardInterrupt:
        say(f"interrupted; {again}")
        raise typer.Exit(Exit.INTERRUPTED) from None
    except Unreachable as error:
        if error.sent:
            say(again)
        raise


@jobs.command()
def submit(
    photos: Annotated[
        list[str],
        typer.Argument(metavar="PHOTO", help="Photos, folders of photos, or http(s) addresses."),
    ],
    callback: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Is told when the job has ended, if it is allowed."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--idempotency-key", metavar="KEY", help="The same one is the same job."),
    ] = None,
    vividness: Vividness = None,
    postprocess: Postprocess = None,
    hints: Hints = None,
    format: Format = None,
    quality: Quality = None,
    metadata: Metadata = None,
    pages: Pages = None,
    damaged: Damaged = None,
    colour: Colour = None,
    look: Look = None,
    reference: Reference = None,
    proposals: Proposals = 1,
    album: AlbumFlag = False,
    model: Model = None,
    url: ServiceUrl = _HERE,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Hand photos in as one job, and write its id; the service has them then, come what may."""
    key = str(uuid.uuid4()) if key is None else key
    with _service(url, api_key) as client, _told_of(key):
        try:
            job = client.submit(
                list(_given(photos)),
                callback=callback,
                idempotency_key=key,
                vividness=vividness,
                postprocess=postprocess,
                hints=read_hints(hints),
                format=as_written(format),
                quality=quality,
                metadata=metadata,
                pages=pages,
                damaged=damaged,
                colour=colour,
                look=look,
                reference=reference,
                proposals=proposals if proposals > 1 else None,
                album=album or None,
                model=model,
            )
        except ValueError as error:
            raise Complaint(str(error)) from error
        if as_json:
            _write(job.status)
        else:
            print(job.id)


@jobs.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Of how many, the latest.")] = 100,
    url: ServiceUrl = _HERE,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Say how far your jobs are, those of your API key, the latest first."""
    with _service(url, api_key) as client:
        for status in client.jobs(limit):
            if as_json:
                _write(status)
            else:
                print(f"{status.id}  {_words(status)}")


@jobs.command()
def show(id: Id, url: ServiceUrl = _HERE, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Say how far a job is, its place in the queue and how long it will take."""
    with _service(url, api_key) as client:
        _tell(client.job(id).status, as_json=as_json)


@jobs.command()
def wait(
    id: Id,
    url: ServiceUrl = _HERE,
    api_key: ApiKey = None,
    patience: Patience = None,
    as_json: Json = False,
) -> None:
    """Wait until a job has ended."""
    with _service(url, api_key, patience) as client:
        status = client.job(id).wait()
        _tell(status, as_json=as_json)
        raise typer.Exit(_exit(status))


@jobs.command()
def fetch(
    id: Id,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where results go.")
    ] = Path(),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is there already.")
    ] = False,
    url: ServiceUrl = _HERE,
    api_key: ApiKey = None,
    patience: Patience = None,
    quiet: Quiet = False,
) -> None:
    """Write a job's results into a folder, each as soon as it is done, until the job has ended.

    A file that is there is left alone, and told of where it is another one.
    """
    with _service(url, api_key, patience) as client:
        if os.path.lexists(output) and not output.is_dir():
            raise Complaint(f"{output} is no folder, and the results need one")
        job = client.job(id)
        missed = 0
        for _, name, outcome in job.results():
            if isinstance(outcome, Exception):
                say(f"{name}: {by_options(str(getattr(outcome, 'detail', outcome)))}")
                missed += 1
            elif outcome.data:
                path = output / outcome.name
                missed += not _is_kept(path, outcome.data, overwrite=overwrite, quiet=quiet)
        raise typer.Exit(_exit(job.status) or (Exit.SOME_FAILED if missed else Exit.DONE))


@jobs.command()
def cancel(id: Id, url: ServiceUrl = _HERE, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Have no more of a job done; results that there are can still be fetched."""
    with _service(url, api_key) as client:
        _tell(client.job(id).cancel(), as_json=as_json)


def _given(photos: list[str]) -> "Iterator[Path | Address]":
    from chromaserve.client import Address

    check_words(photos)
    for each in photos:
        path = Path(each)
        if "://" in each:  # whether it is one that can be asked, the service says
            yield Address(each)
        elif path.is_dir():
            seen = _Seen()
            found = [photo for _, there in photos_below(path, set(), seen) for photo in there]
            if not found:
                raise Complaint(f"there is no photo in {each}", Exit.NOTHING_DONE)
            for kind, count in seen.results.items():
                say(f"left out of {each}: {count} {kind}")
            yield from found
        else:
            yield path


class _Seen:
    """What of a folder is not handed in: see `Watcher`."""

    def __init__(self) -> None:
        self.results = Counter[str]()

    def unreadable(self, error: OSError) -> None:
        raise error  # a job without what is in there would be another one

    def left_out(self, _: Path, kind: str) -> None:
        if kind.endswith(COLOUR) or kind == LINKED:
            self.results[kind] += 1


def _is_kept(path: Path, data: bytes, *, overwrite: bool, quiet: bool) -> bool:
    """Write a result; False where something else is there."""
    from chromaserve.library.files import write_whole

    try:
        write_whole(path, data, replace=overwrite)
    except FileExistsError:
        with suppress(OSError):
            if path.stat().st_size == len(data) and path.read_bytes() == data:
                return True  # it was fetched before
        say(f"{path} is there already: name another folder by -o, or --overwrite replaces it")
        return False
    if not quiet:
        print(path)
    return True


def _exit(status: "JobStatus") -> Exit:
    if status.done == status.photos:
        return Exit.DONE
    return Exit.SOME_FAILED if status.done else Exit.NOTHING_DONE


def _tell(status: "JobStatus", *, as_json: bool) -> None:
    if as_json:
        _write(status)
    else:
        print(_words(status))


def _words(status: "JobStatus") -> str:
    failed = f", {status.failed} failed" if status.failed else ""
    parts = [f"{status.state}: {status.done} of {status.photos} photos done{failed}"]
    if status.place:
        parts.append(f"place {status.place} in the queue")
    if status.time_left_s is not None:
        parts.append(f"about {status.time_left_s:.0f} s left")
    if status.expires:
        parts.append(f"kept until {status.expires.astimezone():%Y-%m-%d %H:%M}")
    return "; ".join(parts)


def _write(status: "JobStatus") -> None:
    print(json.dumps(asdict(status), default=str))
