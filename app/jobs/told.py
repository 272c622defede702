"""What clients are told of a job."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from chromaserve.pipeline.pipeline import Pipeline

from ..root_path import reference
from .records import Standing

State = Literal["waiting", "working", "done", "cancelled"]


class Job(BaseModel):
    """A job and how far it is."""

    id: str
    state: Annotated[
        State,
        Field(
            description="waiting: no photo was begun; working; done: what became of every photo is"
            " known; cancelled: what was done by then is there."
        ),
    ]
    photos: Annotated[int, Field(description="Results that it is to have.")]
    done: Annotated[int, Field(description="Results that there are.")]
    failed: Annotated[int, Field(description="Photos that could not be colorized.")]
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    expires: Annotated[
        datetime | None, Field(description="When the job and its results are forgotten.")
    ] = None
    place: Annotated[
        int | None,
        Field(description="In the queue, among the jobs that have not ended, by when they came."),
    ] = None
    ahead: Annotated[
        int | None,
        Field(description="Photos of other jobs that go before its last one: jobs take turns."),
    ] = None
    time_left_s: Annotated[
        float | None,
        Field(description="Until it is done, by the service's estimate; null while none is known."),
    ] = None
    self: Annotated[str, Field(description="Its path.")]
    events: Annotated[str, Field(description="Path of its events.")]
    results: Annotated[str, Field(description="Path of its results, once it has ended.")]


class JobList(BaseModel):
    """Jobs, the latest first."""

    jobs: list[Job]


def told(standing: Standing, pipeline: Pipeline, keep_s: float) -> Job:
    """A job as clients are told of it."""
    row = standing.row
    path = reference(f"/jobs/{row['id']}")
    job = Job(
        id=row["id"],
        state="working",
        photos=row["photos"],
        done=row["done"],
        failed=row["failed"],
        created=_time(row["created"]),
        started=_time(row["started"]) if row["started"] else None,
        self=path,
        events=f"{path}/events",
        results=f"{path}/results",
    )
    if row["ended"]:
        job.state = "cancelled" if row["cancelled"] else "done"
        job.ended, job.expires = _time(row["ended"]), _time(row["ended"] + keep_s)
        return job
    if row["started"] is None:
        job.state = "waiting"
    job.place, job.ahead = standing.before + 1, standing.ahead
    if pipeline.estimate.known:
        left = standing.ahead + row["photos"] - row["done"] - row["failed"] + row["looks"]
        work_s = pipeline.estimate.seconds(left, standing.ahead_pixels + row["pixels_left"])
        job.time_left_s = round(
            work_s / max(standing.workers, 1) + pipeline.backlog.wait_s(left), 1
        )
    return job


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
