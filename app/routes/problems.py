"""GET /problems/{slug}: what the `type` of a problem refers to."""

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from ..problems import HTTP_KINDS, KINDS
from ..problems import Kind as Other
from ..root_path import reference
from .openapi import problems

router = APIRouter(tags=["problems"])


class Kind(BaseModel):
    """A kind of problem."""

    type: str
    title: str
    status: int
    meaning: str


_KINDS = {
    "http-error": (Other(400, "http-error", "Error"), "Another error of HTTP, by its status."),
    **{kind.slug: (kind, kind.title) for kind in HTTP_KINDS.values()},
    **{kind.slug: (kind, (error.__doc__ or kind.title)) for error, kind in KINDS.items()},
}


@router.get("/problems/{slug}", summary="What a problem's type means", responses=problems(404))
async def problem_type(slug: str) -> Kind:
    """Explain one kind of problem."""
    if slug not in _KINDS:
        raise HTTPException(404)
    found, meaning = _KINDS[slug]
    return Kind(
        type=reference(f"/problems/{slug}"),
        title=found.title,
        status=found.status,
        meaning=meaning.split("\n\n")[0].strip(),
    )
