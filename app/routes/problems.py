"""GET /problems/{slug}: what the `type` of a problem refers to."""

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from ..problems import KINDS, MEANINGS, OTHER
from ..root_path import reference
from .openapi import problems

router = APIRouter(tags=["problems"])


class Kind(BaseModel):
    """A kind of problem."""

    type: str
    title: str
    status: int
    meaning: str


_KINDS = {kind.slug: kind for kind in (*KINDS.values(), OTHER)}


@router.get("/problems/{slug}", summary="What a problem's type means", responses=problems(404))
async def problem_type(slug: str) -> Kind:
    """Explain one kind of problem."""
    if slug not in _KINDS:
        raise HTTPException(404)
    found = _KINDS[slug]
    return Kind(
        type=reference(f"/problems/{slug}"),
        title=found.title,
        status=found.status,
        meaning=MEANINGS[slug],
    )
