"""GET /metrics: for Prometheus."""

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import choose_encoder

from .dependencies import AnyService

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request, service: AnyService) -> Response:
    """Tell requests, photos, stages, batches, refusals, memory and models, as Prometheus reads it.

    OpenMetrics where the Accept header prefers it.
    """
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(service.metrics.told), headers={"Content-Type": content_type})
