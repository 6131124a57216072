"""What a call can fail with. Branch on the class or on `reason` (docs/errors.md), never on the message."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, cast

import grpc
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "stepcast.dev"


@dataclass(frozen=True)
class FieldViolation:
    """A field that the server refuses: what came and what is allowed."""

    field: str
    description: str


class StepcastError(Exception):
    """A call failed.

    `code` is the name of the gRPC status, `reason` that of `stepcast.v1.ErrorReason` without its prefix ("" where the
    gRPC library itself made the error). `retry_delay` is in seconds, None where the server names none.
    """

    def __init__(self, message: str, *, code: str = "UNKNOWN", reason: str = "", address: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.address = address
        self.metadata: dict[str, str] = {}
        self.field_violations: tuple[FieldViolation, ...] = ()
        self.retry_delay: float | None = None
        self.retry_forbidden = False
        self.request_id = ""

    def __str__(self) -> str:
        name = self.reason or self.code
        lines = [f"{name}: {self.message}"]
        lines += [f"  {violation.field}: {violation.description}" for violation in self.field_violations]
        return "\n".join(lines)


class InvalidRequestError(StepcastError):
    """INVALID_ARGUMENT: fix the request; `field_violations` lists every wrong field."""


class ModelNotFoundError(StepcastError):
    """NOT_FOUND: no such model; `metadata["available"]` lists those that exist."""


class OverloadedError(StepcastError):
    """RESOURCE_EXHAUSTED: queue full, tenant's limit, no time for the deadline, or too little memory."""


class UnavailableError(StepcastError):
    """UNAVAILABLE: nobody listens, the server stops, or its model or device is not there."""


class DeadlineExceededError(StepcastError):
    """DEADLINE_EXCEEDED: `timeout` passed before the pictures were done."""


class CallCancelledError(StepcastError):
    """CANCELLED: by `cancel()`, by a broken connection, or by the server because nobody read."""


class ServerFailedError(StepcastError):
    """INTERNAL and all else: `metadata["error_id"]` finds the cause in the server's log."""


class BrokenStreamError(StepcastError):
    """What came is not what the contract promises: bytes are missing, or do not match their checksum."""


_CLASSES: dict[str, type[StepcastError]] = {
    "INVALID_ARGUMENT": InvalidRequestError,
    "NOT_FOUND": ModelNotFoundError,
    "RESOURCE_EXHAUSTED": OverloadedError,
    "UNAVAILABLE": UnavailableError,
    "DEADLINE_EXCEEDED": DeadlineExceededError,
    "CANCELLED": CallCancelledError,
}


class _Failure(Protocol):
    """What grpc.RpcError has in a call that failed, synchronous or not."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...


def from_rpc(error: grpc.RpcError, address: str) -> StepcastError:
    """The typed error behind a failure of the gRPC library."""
    failure = cast(_Failure, error)
    code = failure.code().name
    made = _CLASSES.get(code, ServerFailedError)(failure.details() or code, code=code, address=address)
    for key, value in failure.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            _read_details(made, value)
        elif key == "x-request-id":
            made.request_id = str(value)
    # The trailer is what gRPC's own retries obey, so it wins over RetryInfo.
    for key, value in failure.trailing_metadata() or ():
        if key == "grpc-retry-pushback-ms":
            _read_pushback(made, str(value))
    return made


def _read_pushback(error: StepcastError, text: str) -> None:
    """As gRPC reads it: what is no number, or negative, forbids another try."""
    if text.isascii() and text.isdigit():
        error.retry_delay = int(text) / 1000
    else:
        error.retry_forbidden = True


def _read_details(error: StepcastError, serialized: bytes) -> None:
    status = status_pb2.Status()
    status.ParseFromString(serialized)
    for detail in status.details:
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            error.reason = info.reason
            error.metadata = dict(info.metadata)
        elif detail.Unpack(bad):
            error.field_violations = tuple(FieldViolation(v.field, v.description) for v in bad.field_violations)
        elif detail.Unpack(retry):
            error.retry_delay = retry.retry_delay.ToTimedelta().total_seconds()


def to_json(error: StepcastError) -> str:
    """One line for programs."""
    fields = [{"field": v.field, "description": v.description} for v in error.field_violations]
    return json.dumps({"code": error.code, "reason": error.reason, "message": error.message, "fields": fields})
