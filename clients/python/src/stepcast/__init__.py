"""Client of Stepcast, the image-generation server that batches by the step.

with stepcast.Client("localhost:50051") as client:
    client.paint("a red apple", seed=7).image.save("apple.png")
"""

from stepcast._retry import NO_RETRY, RetryPolicy
from stepcast.aio import AsyncClient, AsyncGeneration
from stepcast.client import Client, Generation
from stepcast.errors import (
    BrokenStreamError,
    CallCancelledError,
    DeadlineExceededError,
    FieldViolation,
    InvalidRequestError,
    ModelNotFoundError,
    OverloadedError,
    ServerFailedError,
    StepcastError,
    UnavailableError,
)
from stepcast.events import (
    Accepted,
    Checkpoint,
    Completed,
    Cost,
    Event,
    Image,
    Parked,
    Preview,
    Progress,
    Result,
    Timings,
)

__all__ = [
    "NO_RETRY",
    "Accepted",
    "AsyncClient",
    "AsyncGeneration",
    "BrokenStreamError",
    "CallCancelledError",
    "Checkpoint",
    "Client",
    "Completed",
    "Cost",
    "DeadlineExceededError",
    "Event",
    "FieldViolation",
    "Generation",
    "Image",
    "InvalidRequestError",
    "ModelNotFoundError",
    "OverloadedError",
    "Parked",
    "Preview",
    "Progress",
    "Result",
    "RetryPolicy",
    "ServerFailedError",
    "StepcastError",
    "Timings",
    "UnavailableError",
]
