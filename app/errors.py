"""What can go wrong with a request over HTTP, beyond what can go wrong with its photos."""

# ruff: noqa: N818 - they read as facts, in code and in tracebacks

from chromaserve.errors import ServiceError


class MalformedBody(ServiceError):
    """The request body is not what its Content-Type says."""


class NotFound(ServiceError):
    """There is nothing at the request's path."""


class MethodNotAllowed(ServiceError):
    """The path does not take the request's method; `Allow` has those that it takes."""


class UntrustedHost(ServiceError):
    """The Host header is not one of the service's own names."""


class OriginRefused(ServiceError):
    """The service does not answer pages of that origin (CORS)."""


class Unauthorized(ServiceError):
    """The service takes an API key, and the request has none that is known."""


class NotAcceptable(ServiceError):
    """None of the representations on offer fits the Accept header."""


class UploadStalled(ServiceError):
    """The client stopped sending its body."""


class TooManyPhotos(ServiceError):
    """The request holds more photos than one request may."""


def too_many_photos(limit: int) -> TooManyPhotos:
    """The error for a request that holds more photos than one may."""
    return TooManyPhotos(
        f"A request may hold {limit} photos at most. Send the rest in another.", limit=limit
    )


class UnsupportedBody(ServiceError):
    """The Content-Type of the request is not one that carries photos."""


class NoPhoto(ServiceError):
    """The request holds no photo."""


class InvalidTensor(ServiceError):
    """A tensor does not fit the model: its name, datatype, shape or values."""


class AllPhotosFailed(ServiceError):
    """Every photo of the request failed; `errors` has each one's problem."""


class JobsOff(ServiceError):
    """The service keeps no jobs: its settings name no folder for them."""


class JobNotFound(ServiceError):
    """The API key has no such job: it never had, or it has expired."""


class NoResult(ServiceError):
    """The job has no photo of that number, it was cancelled before that photo was done, or the
    result was sent to an address (`sent`), or is not kept any more."""


class JobNotEnded(ServiceError):
    """What was asked for is there once the job, or its photo, is done."""


class IdempotencyKeyReused(ServiceError):
    """The Idempotency-Key came with another request before."""


class JobsFull(ServiceError):
    """There is no room on the disk for the photos and results of another job."""


class JobsAway(ServiceError):
    """The queue of jobs, or the folder of their photos and results, cannot be reached now."""


class AddressRefused(ServiceError):
    """The address is not on the list of those that the service asks."""


class AddressFailed(ServiceError):
    """The address that a photo comes from, or its result goes to, refused or did not answer."""


class PhotoAbandoned(ServiceError):
    """A photo of a job was given up: the service failed whenever it worked on it."""


class Forbidden(ServiceError):
    """The API key is known, and is not one for this."""


class RateLimited(ServiceError):
    """The API key, or the client's address, has asked too often of late."""


class MalformedRequest(ServiceError):
    """The request's head is not HTTP, or programs could read it in two ways."""


class NoSuchPart(ServiceError):
    """The Range header asks for bytes that the file does not have."""


class UnsupportedTransfer(ServiceError):
    """The request's body comes in a transfer coding that is not undone here, such as gzip."""


class HeadTooLarge(ServiceError):
    """The request's head has too many bytes or fields."""


class HeadTimeout(ServiceError):
    """The request's head did not arrive in time."""


class TooManyConnections(ServiceError):
    """There is no place for another connection."""
