"""What a server does rarely: scripted, in this process."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator

import pytest
from servers import ScriptedServer, cut_off, free_port_of_nobody, refusal

import stepcast
from stepcast.v1 import image_generation_pb2 as pb
from stepcast.v1 import resume_pb2, statistics_pb2

FAST = stepcast.RetryPolicy(initial_backoff=0.001)
Start = Callable[..., ScriptedServer]


def accepted(request: pb.GenerateRequest, seed: int = 11) -> pb.GenerateResponse:
    filled = pb.GenerateRequest(image_count=1)
    filled.MergeFrom(request)
    filled.seed = request.seed if request.HasField("seed") else seed
    return pb.GenerateResponse(accepted=pb.Accepted(request=filled, evaluations=1, job_ids=[40, 41]))


def chunk(index: int, data: bytes, offset: int = 0, total: int | None = None, sha256: str = "") -> pb.GenerateResponse:
    total = len(data) if total is None else total
    part = pb.ImageChunk(image_index=index, data=data, offset=offset, total_bytes=total, mime="image/png")
    part.sha256 = sha256 or hashlib.sha256(data).hexdigest()
    return pb.GenerateResponse(image_chunk=part)


def paints(request: pb.GenerateRequest) -> Iterator[pb.GenerateResponse]:
    filled = accepted(request)
    yield filled
    for index in range(filled.accepted.request.image_count):
        yield chunk(index, b"picture %d" % index)
    yield pb.GenerateResponse(completed=pb.Completed(evaluations=1))


def paints_at(**cost: float) -> Callable[[pb.GenerateRequest], Iterator[pb.GenerateResponse]]:
    """Likewise, and tells what it took."""

    def script(request: pb.GenerateRequest) -> Iterator[pb.GenerateResponse]:
        for response in paints(request):
            if response.HasField("completed"):
                response.completed.cost.MergeFrom(statistics_pb2.Cost(**cost))
            yield response

    return script


def refuses(*arguments: object, **options: object) -> Callable[[pb.GenerateRequest], Iterator[pb.GenerateResponse]]:
    def script(_: pb.GenerateRequest) -> Iterator[pb.GenerateResponse]:
        raise refusal(*arguments, **options)  # type: ignore[arg-type]
        yield

    return script


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("RESOURCE_EXHAUSTED", "QUEUE_FULL"),
        ("RESOURCE_EXHAUSTED", "TENANT_LIMIT"),
        ("RESOURCE_EXHAUSTED", "DEADLINE_UNREACHABLE"),
        ("UNAVAILABLE", "DRAINING"),
        ("UNAVAILABLE", "DEVICE_LOST"),
        ("UNAVAILABLE", "MODEL_LOADING"),
        ("UNAVAILABLE", "MODEL_FAILED"),
    ],
)
def test_refusals_are_tried_again(scripted: Start, code: str, reason: str) -> None:
    server = scripted(refuses(code, reason), paints)
    with stepcast.Client(server.address, retry=FAST) as client:
        assert client.paint("x").image.data == b"picture 0"
    assert len(server.requests) == 2
    assert server.metadata[0]["x-request-id"] == server.metadata[1]["x-request-id"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("INVALID_ARGUMENT", "FIELD_INVALID"),
        ("NOT_FOUND", "MODEL_NOT_FOUND"),
        ("RESOURCE_EXHAUSTED", "DEVICE_MEMORY"),
        ("DEADLINE_EXCEEDED", "DEADLINE"),
        ("CANCELLED", "CLIENT_STALLED"),
        ("INTERNAL", "ENGINE_ERROR"),
        ("INTERNAL", "NUMERIC_FAULT"),
    ],
)
def test_other_errors_are_not(scripted: Start, code: str, reason: str) -> None:
    server = scripted(refuses(code, reason))
    with (
        stepcast.Client(server.address, retry=FAST) as client,
        pytest.raises(stepcast.StepcastError) as failed,
    ):
        client.paint("x")
    assert (failed.value.code, failed.value.reason, failed.value.address) == (code, reason, server.address)


def test_the_pushback_is_waited_for_and_wins_over_retry_info(scripted: Start) -> None:
    server = scripted(refuses("RESOURCE_EXHAUSTED", "QUEUE_FULL", delay=20, pushback="200"), paints)
    with stepcast.Client(server.address, timeout=10) as client:
        client.paint("x")
    assert 0.2 <= server.times[1] - server.times[0] < 10


@pytest.mark.parametrize("pushback", ["-1", "soon"])
def test_a_pushback_that_is_no_time_forbids_a_retry(scripted: Start, pushback: str) -> None:
    server = scripted(refuses("RESOURCE_EXHAUSTED", "QUEUE_FULL", pushback=pushback))
    with stepcast.Client(server.address, retry=FAST) as client, pytest.raises(stepcast.OverloadedError):
        client.paint("x")
    assert len(server.requests) == 1


@pytest.mark.parametrize("timeout", [None, 5])
def test_a_wait_that_is_too_long_is_not_begun(scripted: Start, timeout: float | None) -> None:
    server = scripted(refuses("RESOURCE_EXHAUSTED", "QUEUE_FULL", delay=20 if timeout else 3600))
    with stepcast.Client(server.address, timeout=timeout) as client, pytest.raises(stepcast.OverloadedError) as full:
        client.paint("x")
    assert full.value.retry_delay == (20 if timeout else 3600)


def test_rounds_end(scripted: Start) -> None:
    server = scripted(*[refuses("UNAVAILABLE", "MODEL_LOADING")] * 3)
    policy = stepcast.RetryPolicy(rounds=3, initial_backoff=0.001)
    with stepcast.Client(server.address, retry=policy) as client, pytest.raises(stepcast.UnavailableError):
        client.paint("x")
    assert len(server.requests) == 3


def test_the_error_that_tells_most_is_raised(scripted: Start) -> None:
    server = scripted(*[refuses("RESOURCE_EXHAUSTED", "QUEUE_FULL")] * 2)
    policy = stepcast.RetryPolicy(rounds=2, initial_backoff=0.001)
    for addresses in ([server.address, free_port_of_nobody()],):
        with stepcast.Client(addresses, retry=policy) as client, pytest.raises(stepcast.OverloadedError):
            client.paint("x")


def test_a_lost_device_resumes_with_the_same_seed_and_tells_no_picture_twice(scripted: Start) -> None:
    def loses(request: pb.GenerateRequest) -> Iterator[pb.GenerateResponse]:
        yield accepted(request, seed=99)
        yield chunk(0, b"picture 0")
        yield chunk(1, b"pict", total=9)
        raise refusal("UNAVAILABLE", "DEVICE_LOST")

    server = scripted(loses, paints)
    with stepcast.Client(server.address, retry=FAST) as client:
        events = list(client.generate("x", image_count=2))
    assert [type(event).__name__ for event in events] == ["Accepted", "Image", "Accepted", "Image", "Completed"]
    assert [request.seed for request in server.requests] == [0, 99]
    assert [event.image_index for event in events if isinstance(event, stepcast.Image)] == [0, 1]


def parked(index: int, token: bytes) -> pb.GenerateResponse:
    return pb.GenerateResponse(parked=resume_pb2.Parked(image_index=index, resume_token=token, evaluations_done=3))


def checkpoint(index: int, token: bytes) -> pb.GenerateResponse:
    return pb.GenerateResponse(
        checkpoint=resume_pb2.Checkpoint(image_index=index, resume_token=token, evaluations_done=2)
    )


def hands_out(request: pb.GenerateRequest) -> Iterator[pb.GenerateResponse]:
    """Of four pictures one is done, one has a token, one its checkpoint, one nothing."""
    yield accepted(request, seed=99)
    yield checkpoint(0, b"old")
    yield checkpoint(1, b"unused")
    yield checkpoint(2, b"kept")
    yield chunk(1, b"picture 1")
    yield parked(0, b"new")
    yield parked(2, b"")
    yield parked(3, b"")
    raise refusal("UNAVAILABLE", "DRAINING")


def test_pictures_with_tokens_go_on_one_after_the_other(scripted: Start) -> None:
    telling = paints_at(row_evaluations=6, device_seconds=0.25)
    server = scripted(hands_out, telling, refuses("INVALID_ARGUMENT", "RESUME_TOKEN_INVALID"), paints, telling)
    with stepcast.Client(server.address, retry=stepcast.RetryPolicy(rounds=2, initial_backoff=0.001)) as client:
        events = list(client.generate("x", image_count=4))
    asked = [(request.seed, request.image_count, request.resume_token) for request in server.requests]
    assert asked == [(0, 4, b""), (99, 1, b"new"), (101, 1, b"kept"), (101, 1, b""), (102, 1, b"")]
    told = [(type(event).__name__, getattr(event, "image_index", None)) for event in events]
    assert told == [
        ("Accepted", None),
        *[("Checkpoint", index) for index in (0, 1, 2)],
        ("Image", 1),
        *[("Parked", index) for index in (0, 2, 3)],
        *[("Image", index) for index in (0, 2, 3)],
        ("Completed", None),
    ]
    assert isinstance(events[0], stepcast.Accepted)
    assert events[0].job_ids == (40, 41)
    assert isinstance(events[-1], stepcast.Completed)
    assert events[-1].evaluations == 3
    # One of the three attempts that ended well was of a server that does not tell.
    assert events[-1].cost == stepcast.Cost(row_evaluations=12, device_seconds=0.5)


def test_a_dead_server_is_gone_on_from_its_last_checkpoint(scripted: Start) -> None:
    def dies(request: pb.GenerateRequest) -> Iterator[pb.GenerateResponse]:
        yield accepted(request, seed=99)
        yield checkpoint(0, b"old")
        yield checkpoint(0, b"new")
        raise cut_off("UNAVAILABLE", "Socket closed")

    server = scripted(dies, refuses("RESOURCE_EXHAUSTED", "QUEUE_FULL"), paints)
    with stepcast.Client(server.address, retry=FAST) as client:
        assert client.paint("x").request.seed == 99
    assert [(r.seed, r.resume_token) for r in server.requests] == [(0, b""), (99, b"new"), (99, b"new")]


def test_a_token_of_the_callers_own_is_not_dropped(scripted: Start) -> None:
    server = scripted(refuses("INVALID_ARGUMENT", "RESUME_TOKEN_INVALID"))
    with stepcast.Client(server.address, retry=FAST) as client, pytest.raises(stepcast.InvalidRequestError):
        client.paint("x", seed=99, resume_token=b"own")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("UNAVAILABLE", "Socket closed"),
        ("INTERNAL", "Received RST_STREAM with error code 2"),
        ("CANCELLED", "CANCELLED"),
    ],
)
def test_a_lost_server_is_replaced_twice_and_no_more(scripted: Start, code: str, message: str) -> None:
    def dies(request: pb.GenerateRequest) -> Iterator[pb.GenerateResponse]:
        yield accepted(request, seed=99)
        raise cut_off(code, message)

    server = scripted(dies, dies, paints, dies, dies, dies)
    with stepcast.Client(server.address, retry=FAST) as client:
        assert client.paint("x").image.data == b"picture 0"
        assert [request.seed for request in server.requests] == [0, 99, 99]
        # A request that kills whoever paints it must not go through all replicas.
        with pytest.raises(stepcast.StepcastError, match=message):
            client.paint("x")
    assert len(server.requests) == 6


def stops(request: pb.GenerateRequest) -> Iterator[pb.GenerateResponse]:
    yield from ()
    raise cut_off("CANCELLED", "CANCELLED")


def test_a_call_that_a_server_never_began_because_it_stops_goes_elsewhere(scripted: Start) -> None:
    server = scripted(stops, stops, paints, stops, stops, stops)
    with stepcast.Client(server.address, retry=FAST) as client:
        assert client.paint("x").image.data == b"picture 0"
        with pytest.raises(stepcast.CallCancelledError):
            client.paint("x")


async def test_a_server_that_stops_cancels_no_task(scripted: Start) -> None:
    server = scripted(stops, stops, paints, stops, stops, stops)
    async with stepcast.AsyncClient(server.address, retry=FAST) as client:
        assert (await client.paint("x")).image.data == b"picture 0"
        with pytest.raises(stepcast.CallCancelledError):
            await client.paint("x")


def test_a_call_that_has_begun_is_not_repeated_for_other_reasons(scripted: Start) -> None:
    def loses(request: pb.GenerateRequest) -> Iterator[pb.GenerateResponse]:
        yield accepted(request)
        raise refusal("RESOURCE_EXHAUSTED", "QUEUE_FULL")

    server = scripted(loses)
    with stepcast.Client(server.address, retry=FAST) as client, pytest.raises(stepcast.OverloadedError):
        client.paint("x")


@pytest.mark.parametrize(
    "parts",
    [
        [chunk(0, b"picture 0", sha256="0" * 64)],
        [chunk(0, b"pict", total=9), chunk(0, b"re 0", offset=5, total=9)],
        [chunk(0, b"picture", total=4)],
        [chunk(0, b"pict", total=9)],
        [],
    ],
    ids=["checksum", "gap", "too long", "too short", "none"],
)
def test_a_damaged_picture_is_an_error(scripted: Start, parts: list[pb.GenerateResponse]) -> None:
    def damages(request: pb.GenerateRequest) -> Iterator[pb.GenerateResponse]:
        yield accepted(request)
        yield from parts
        yield pb.GenerateResponse(completed=pb.Completed())

    with stepcast.Client(scripted(damages).address) as client, pytest.raises(stepcast.BrokenStreamError):
        client.paint("x")


def test_a_stream_without_an_end_is_an_error(scripted: Start) -> None:
    def stops(request: pb.GenerateRequest) -> Iterator[pb.GenerateResponse]:
        yield accepted(request)

    with stepcast.Client(scripted(stops).address) as client, pytest.raises(stepcast.BrokenStreamError):
        client.paint("x")


def test_what_goes_beside_a_request(scripted: Start) -> None:
    server = scripted(paints)
    with stepcast.Client(server.address, tenant="acme", metadata=[("x-one", "1")]) as client:
        client.paint("x", model="emoji", metadata=[("x-two", "2")])
    sent = server.metadata[0]
    assert (sent["x-stepcast-tenant"], sent["x-stepcast-model"]) == ("acme", "emoji")
    assert (sent["x-one"], sent["x-two"]) == ("1", "2")
    assert str(sent["user-agent"]).startswith("stepcast-python")


def test_another_thread_cancels_a_call_that_waits_to_be_retried(scripted: Start) -> None:
    server = scripted(refuses("RESOURCE_EXHAUSTED", "QUEUE_FULL", delay=25))
    with stepcast.Client(server.address) as client:
        generation = client.generate("x")

        def cancel() -> None:
            server.ended.wait()
            generation.cancel()

        thread = threading.Thread(target=cancel)
        thread.start()
        with pytest.raises(stepcast.CallCancelledError):
            next(generation)
        thread.join()


@pytest.mark.parametrize("addresses", [["a:1", "b:1"], ["127.0.0.1:1", "[::1]:1"]])
def test_replicas_to_balance_are_one_name_or_ip_addresses(addresses: list[str]) -> None:
    with pytest.raises(ValueError, match="allowed: one name, or IP addresses of one kind"):
        stepcast.Client(addresses, balance=True)


async def test_the_asynchronous_client_retries_resumes_and_checks(scripted: Start) -> None:
    def loses(request: pb.GenerateRequest) -> Iterator[pb.GenerateResponse]:
        yield accepted(request, seed=99)
        raise refusal("UNAVAILABLE", "DRAINING")

    server = scripted(refuses("RESOURCE_EXHAUSTED", "QUEUE_FULL", pushback="1"), loses, paints)
    async with stepcast.AsyncClient([free_port_of_nobody(), server.address], retry=FAST) as client:
        assert (await client.paint("x")).image.data == b"picture 0"
    assert [request.seed for request in server.requests] == [0, 0, 99]

    resuming = scripted(hands_out, paints, refuses("INVALID_ARGUMENT", "RESUME_TOKEN_INVALID"), paints, paints)
    async with stepcast.AsyncClient(resuming.address, retry=FAST) as client:
        result = await client.paint("x", image_count=4)
    assert [image.image_index for image in result.images] == [0, 1, 2, 3]
    assert [request.resume_token for request in resuming.requests] == [b"", b"new", b"kept", b"", b""]

    damaged = scripted(lambda request: iter([accepted(request), chunk(0, b"picture", sha256="0" * 64)]))
    async with stepcast.AsyncClient(damaged.address) as client:
        with pytest.raises(stepcast.BrokenStreamError):
            await client.paint("x")


async def test_the_asynchronous_client_is_cancelled(scripted: Start) -> None:
    server = scripted(refuses("RESOURCE_EXHAUSTED", "QUEUE_FULL"))
    async with stepcast.AsyncClient(server.address) as client:
        generation = client.generate("x")
        generation.cancel()
        with pytest.raises(stepcast.CallCancelledError):
            await anext(generation)
