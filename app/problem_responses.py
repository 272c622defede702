"""Errors as responses: problem details (RFC 9457) for whatever leaves a route."""

from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from app.errors import (
    HTTP_KINDS,
    PROBLEM_JSON,
    Busy,
    Kind,
    Problem,
    ServiceError,
    invalid_options,
    problem,
    problem_of_kind,
)
from app.root_path import reference
from app.telemetry import REQUEST_ID_HEADER, request_id
from model_store.errors import ModelStoreError

PROBLEM_KEY = "chromaserve.problem"
"""Where in its ASGI scope a request's problem is noted, by slug, for whoever counts them."""


class ProblemResponse(JSONResponse):
    """Problem details as a response, which notes in the scope what the problem was."""

    media_type = PROBLEM_JSON

    def __init__(self, body: Problem, headers: dict[str, str] | None = None) -> None:
        super().__init__(body.model_dump(exclude_none=True), body.status, headers)
        self._slug = body.type.rpartition("/")[2]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        scope[PROBLEM_KEY] = self._slug
        await super().__call__(scope, receive, send)


def error_response(error: Exception, instance: str | None = None) -> ProblemResponse:
    """The response that tells a client of the error."""
    headers = error.headers if isinstance(error, ServiceError) else None
    return ProblemResponse(problem(error, instance), headers)


def install(app: FastAPI, retry_after_s: Callable[[], int]) -> None:
    """Make every error that leaves a route, the framework's too, a problem response.

    retry_after_s is asked what to tell a client for whom there is no room now.
    """

    def on_error(request: Request, error: Exception) -> JSONResponse:
        response = error_response(error, request.url.path)
        if isinstance(error, Busy):
            response.headers["Retry-After"] = str(retry_after_s())
        return response

    def on_unknown_error(request: Request, error: Exception) -> JSONResponse:
        response = error_response(error, request.url.path)
        # This one is sent from outside all middleware.
        response.headers[REQUEST_ID_HEADER] = request_id.get()
        return response

    def on_http_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        kind = HTTP_KINDS.get(error.status_code) or Kind(error.status_code, "http", "Error")
        docs = f"See {reference('/docs')} for what"
        detail = {
            404: f"There is nothing at {request.url.path}. {docs} there is.",
            405: f"{request.url.path} does not take {request.method}. {docs} it takes.",
        }.get(error.status_code, str(error.detail))
        headers = dict(error.headers) if error.headers else None
        return ProblemResponse(problem_of_kind(kind, detail, request.url.path, {}), headers)

    def on_invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return error_response(invalid_options(error.errors()), request.url.path)

    for known in (ServiceError, ModelStoreError):
        app.add_exception_handler(known, on_error)
    app.add_exception_handler(Exception, on_unknown_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
