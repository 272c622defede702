"""POST /jobs and what belongs to it: photos that are taken now, and fetched when they are done."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.staticfiles import NotModifiedResponse

from chromaserve.photos.formats import MEDIA_TYPES
from chromaserve.photos.names import content_disposition
from chromaserve.pipeline.album import SEEN_BYTES, check_album
from chromaserve.pipeline.backlog import Ticket
from chromaserve.pipeline.reference import with_upload

from ..access_log import KEY_NAME
from ..errors import JobNotEnded, JobNotFound, JobsAway, JobsOff, NoResult
from ..jobs.database import DatabaseFault
from ..jobs.jobs import FOLDER_AWAY, Jobs
from ..jobs.options import JobOptions
from ..jobs.order import check_pages, new_job, read_order
from ..jobs.results import entry_of, first_lost, zipped
from ..jobs.told import Job, JobList
from ..manifest import Manifest, PhotoResult
from ..options import check_photos, merge
from ..problems import ProblemResponse
from ..requests import unless_gone
from ..responses import HeldStream
from ..root_path import reference
from ..uploads import announced_length
from .colorize import all_failed, with_hints
from .dependencies import AnyService, ReadyService, caller
from .openapi import BINARY, REQUEST_BODY, problems, with_reference
from .page import static

router = APIRouter(tags=["jobs"])


async def _jobs(service: AnyService) -> Jobs:
    if service.jobs is None:
        raise JobsOff("This service keeps no jobs. CHROMASERVE_JOBS=FOLDER has it keep them.")
    return service.jobs


async def _owner(request: Request) -> str:
    """Whose jobs a request may ask for; without keys they are known by their ids alone."""
    return str(request.scope.get(KEY_NAME, ""))


KeptJobs = Annotated[Jobs, Depends(_jobs)]
Owner = Annotated[str, Depends(_owner)]
Id = Annotated[
    str, Path(alias="id", max_length=64, description="Of the job, as POST /jobs gave it.")
]


async def _found(jobs: KeptJobs, owner: Owner, id: Id) -> Job:
    return await jobs.find(id, owner)


Found = Annotated[Job, Depends(_found)]


async def _missing(jobs: Jobs, number: int) -> NoResult | JobsAway:
    """Why a result is not there: it expired just now, or nothing is."""
    if await jobs.on_disk(jobs.files.there):
        return NoResult(f"The result of photo {number} is not kept any more.")
    return JobsAway(FOLDER_AWAY)


@router.post(
    "/jobs",
    summary="Have photos colorized later",
    status_code=202,
    response_model_exclude_none=True,
    responses={
        202: {
            "headers": {
                "Location": {"description": "Path of the job.", "schema": {"type": "string"}}
            }
        },
        **problems(400, 404, 408, 413, 415, 422, 500, 503, 504, 507),
    },
    openapi_extra={"requestBody": with_reference(REQUEST_BODY)},
)
async def submit_job(
    request: Request,
    response: Response,
    jobs: KeptJobs,
    owner: Owner,
    service: ReadyService,
    options: Annotated[JobOptions, Query()],  # noqa: ARG001 - checked early; merged below
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            description="The same one with the same request is the same job, however often it is"
            " sent; a UUID for each job.",
        ),
    ] = None,
) -> Job:
    """Take photos as POST /colorize does, and answer at once: they are on disk then, and done when
    there is room, behind those that somebody waits for.

    Or as JSON with addresses that they come from and, if you like, that results are put to:
    `{"photos": [{"url": "https://…/a.jpg", "out": "https://…/a.png?signature"}]}`; both have to be
    among those that the service's settings allow.
    """
    pipeline, settings = service.pipeline, service.settings
    jobs.check_folder()
    async with AsyncExitStack() as held:
        announced_length(request, settings)
        share = held.enter_context(await pipeline.uploads.take(1))
        body, addresses = await read_order(request, settings, service.arrivals, share)
        chosen = merge(request.query_params.multi_items(), body.fields, JobOptions)
        chosen.check_for_jobs()
        check_photos(chosen, len(body.uploads))
        jobs.check_addresses(chosen, addresses)
        if not addresses:
            await run_in_threadpool(pipeline.look_at, body.uploads, chosen.page)
            errors = [u.header for u in body.uploads if isinstance(u.header, Exception)]
            if len(errors) == len(body.uploads):
                raise all_failed(body, errors)
        order = with_hints(chosen.order(await service.model_for(chosen.model)), body)
        if chosen.album:
            await check_album(len(body.uploads), order)
            pipeline.uploads.check(len(body.uploads) * SEEN_BYTES)
        check_pages(order, body.uploads)
        photos = [] if addresses else [upload.data for upload in body.uploads]
        if reference := body.reference:
            await run_in_threadpool(pipeline.look_at, [reference])
            ticket = Ticket(pipeline.backlog, [reference.pixels], 1, 0.0, None, caller(request))
            # What is wrong with it is told now, and not of each photo.
            await unless_gone(request, with_upload(pipeline, reference, order, ticket))
            photos.insert(0, reference.data)
        new = await run_in_threadpool(
            new_job, owner, idempotency_key, chosen, order, body, addresses
        )
        job = await jobs.accept(new, photos)
    response.headers["Location"] = job.self
    return job


@router.get(
    "/jobs",
    summary="Your jobs",
    response_model_exclude_none=True,
    responses=problems(404, 422, 503),
)
async def list_jobs(
    jobs: KeptJobs,
    owner: Owner,
    limit: Annotated[int, Query(ge=1, le=1000, description="Of how many, the latest.")] = 100,
) -> JobList:
    """List the jobs of your API key that are not forgotten yet, the latest first.

    Where the service asks for no keys there is no such list: 404.
    """
    return JobList(jobs=await jobs.listed(owner, limit))


@router.get(
    "/jobs/{id}",
    summary="How far a job is",
    response_model_exclude_none=True,
    responses=problems(404, 503),
)
async def show_job(job: Found) -> Job:
    """Say how far it is, its place in the queue, and how long it will take."""
    return job


@router.delete(
    "/jobs/{id}",
    summary="Cancel a job",
    response_model_exclude_none=True,
    responses=problems(404, 503),
)
async def cancel_job(jobs: KeptJobs, owner: Owner, id: Id) -> Job:
    """Have no more of its photos done. What is done stays; a job that has ended stays as it is."""
    return await jobs.cancel(id, owner)


@router.get(
    "/jobs/{id}/events",
    summary="A job's progress, as it comes",
    response_class=EventSourceResponse,
    responses=problems(404, 503),
)
async def job_events(
    jobs: KeptJobs,
    job: Found,
    last_event_id: Annotated[
        str | None, Header(description="Of the last event that came, to go on from there.")
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: `job` when its state or place changes, `photo` with each photo's entry of
    the manifest, once and in the order in which they are done, and at last `end`, after which the
    stream ends."""
    told_last = last_event_id if last_event_id and last_event_id.isdecimal() else "0"
    number = int(told_last[:18])  # a larger one fits into no database, and is as far beyond all
    told: tuple[Any, ...] = ()
    while True:
        try:
            standing, photos = await jobs.watch.news(job.id, number)
        except (DatabaseFault, JobNotFound):  # who comes again is told
            return
        for photo in photos:
            number = photo["number"]
            yield ServerSentEvent(event="photo", id=str(number), raw_data=photo["told"])
        job = jobs.told(standing)
        now = (job.state, job.place, job.ahead)
        if job.ended or now != told:
            told = now
            data = job.model_dump_json(exclude_none=True)
            yield ServerSentEvent(event="end" if job.ended else "job", raw_data=data)
        if job.ended or jobs.service.draining:  # a client comes again, and goes on from there
            return


@router.get(
    "/jobs/{id}/results",
    summary="All results of a job",
    response_class=Response,
    responses={
        200: {
            "description": "A ZIP of the images, with manifest.json, as POST /colorize gives it.",
            "content": {"application/zip": BINARY},
        },
        **problems(404, 409, 503),
    },
)
async def job_results(request: Request, jobs: KeptJobs, job: Found) -> Response:
    """Give all results of a job that has ended."""
    if job.ended is None:
        raise JobNotEnded(f"{job.done + job.failed} of {job.photos} photos are done. Come again.")
    manifest = await jobs.ask(jobs.records.manifest, job.id)
    photos = await jobs.ask(jobs.records.photos, job.id)
    placed = [(p, jobs.files.result(job.id, p["n"], p["attempt"])) for p in photos]
    if (lost := await jobs.on_disk(first_lost, placed)) is not None:
        raise await _missing(jobs, lost)
    headers = {"Content-Disposition": content_disposition("colorized.zip")}
    told = Manifest.model_validate_json(manifest)
    try:
        chunks = await zipped(jobs, request.scope, told, placed)
    except OSError as error:
        raise JobsAway(FOLDER_AWAY) from error
    return HeldStream(chunks, AsyncExitStack(), "application/zip", headers)


@router.get(
    "/jobs/{id}/results/{number}",
    summary="One result of a job",
    response_class=Response,
    responses={
        200: {
            "description": "The image.",
            "content": dict.fromkeys(MEDIA_TYPES.values(), BINARY),
        },
        206: {"description": "A part of it, where Range asks for one."},
        304: {"description": "Nothing: it is the one that If-None-Match names."},
        **problems(400, 404, 409, 413, 415, 416, 422, 500, 502, 503, 507),
    },
)
async def job_result(
    request: Request,
    jobs: KeptJobs,
    job: Found,
    number: Annotated[int, Path(ge=0, le=2**31, description="Of the photo in the job, from 0.")],
) -> Response:
    """Give one photo's result as soon as it is done, or its problem."""
    photo = await jobs.ask(jobs.records.photo, job.id, number)
    if photo is None or photo["state"] == "cancelled":
        raise NoResult(f"The job has no photo {number}, or it was cancelled before.")
    entry: PhotoResult | None = entry_of(photo)
    if entry is None:
        raise JobNotEnded(f"Photo {number} is not done yet. Come again.")
    if entry.problem:
        told = entry.problem
        told.instance = reference(f"/jobs/{job.id}/results/{number}")
        return ProblemResponse(told)
    if photo["target"]:
        raise NoResult(
            f"The result of photo {number} was sent to the address that was named.", sent=True
        )
    assert entry.output
    headers = {"Content-Disposition": content_disposition(entry.output)}
    path = jobs.files.result(job.id, number, photo["attempt"])
    try:
        stat = await jobs.on_disk(path.stat)
    except FileNotFoundError as error:
        raise await _missing(jobs, number) from error
    answer = FileResponse(path, media_type=entry.media_type, headers=headers, stat_result=stat)
    if static.is_not_modified(answer.headers, request.headers):
        return NotModifiedResponse(answer.headers)
    return answer
