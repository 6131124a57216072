"""The synchronous client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, TypeVar, Unpack

import grpc

from stepcast import _assembly, events
from stepcast._connection import (
    SERVICE,
    CallOptions,
    Metadata,
    addresses_of,
    balanced_target,
    channel_options,
    deadline_after,
    with_token,
)
from stepcast._request import RequestOptions, make_request
from stepcast._retry import Retries, RetryPolicy, token_refused
from stepcast.errors import CallCancelledError, StepcastError, from_rpc
from stepcast.progress import Bar, reporter
from stepcast.v1 import image_generation_pb2 as pb
from stepcast.v1 import model_pb2

Response = TypeVar("Response")
DEFAULT_RECEIVE_BYTES = 64 << 20


class Generation(Iterator[events.Event]):
    """One Generate call: iterate over its events. Leaving its `with`, `cancel()` and Ctrl-C free the server's rows.

    One thread iterates; `cancel()` may be called from any.
    """

    def __init__(self, client: Client, request: pb.GenerateRequest, options: CallOptions) -> None:
        self._client = client
        self._options = options
        self._assembly = _assembly.Assembly(request)
        self._retries = client._retries(options)
        self._call: Any = None
        self._cancelled = threading.Event()
        self._ended = False

    @property
    def request_id(self) -> str:
        """What the server's log calls this call."""
        return self._options.request_id

    def __iter__(self) -> Generation:
        return self

    def __next__(self) -> events.Event:
        if self._ended:
            raise StopIteration
        try:
            return self._next()
        except BaseException:
            self._ended = True
            self._abandon()
            raise

    def cancel(self) -> None:
        """Ends the call; who waits for an event gets CallCancelledError. Does nothing where it has ended."""
        self._cancelled.set()
        self._abandon()

    close = cancel

    def result(self) -> events.Result:
        """Reads on to the end, and sums up. To be called before anything was read."""
        collector = _assembly.Collector()
        for event in self:
            collector.add(event)
        return collector.result()

    def __enter__(self) -> Generation:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        # An iterator that was thrown away; __init__ may have failed.
        if getattr(self, "_call", None) is not None:
            self._abandon()

    def _abandon(self) -> None:
        call = self._call
        if call is not None:
            call.cancel()

    def _next(self) -> events.Event:
        while True:
            self._raise_if_cancelled()
            if self._call is None:
                self._call = self._client._open(self._retries.index, self._assembly.request, self._options)
            try:
                event = self._assembly.add(next(self._call))
            except StopIteration:
                self._client._answered(self._retries.index)
                if self._assembly.finish():
                    raise
                self._restart()
                continue
            except grpc.RpcError as error:
                self._recover(error)
                continue
            if event is not None:
                return event

    def _raise_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise CallCancelledError("cancelled by the caller", code="CANCELLED")

    def _recover(self, error: grpc.RpcError) -> None:
        self._raise_if_cancelled()
        failure = from_rpc(error, self._client.addresses[self._retries.index])
        dropped = token_refused(failure) and self._assembly.drop_token()
        wait = 0.0 if dropped else self._retries.after(failure, self._assembly.started)
        self._restart()
        self._cancelled.wait(wait)

    def _restart(self) -> None:
        self._assembly.restart()
        self._call = None


class Client:
    """Talks to a server, or to the first of several that answers. Threads may share it.

    `addresses`: "host", "host:port", a list of such or a text with commas between; default $STEPCAST_HOST, else
    localhost:50051. `balance`: every call goes to the next of all replicas that are ready, those of the list (IP
    addresses) or those that DNS names (one name, "dns:///stepcast:50051"). `tenant`: for whom calls are made.
    `timeout`: seconds that a call may take, its retries included.
    `token`: the bearer token; default $STEPCAST_TOKEN. `credentials`: for TLS; without them the connection is plain.
    `metadata` goes with every call.
    """

    def __init__(
        self,
        addresses: str | Sequence[str] | None = None,
        *,
        balance: bool = False,
        tenant: str | None = None,
        token: str | None = None,
        timeout: float | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        retry: RetryPolicy | None = None,
        metadata: Metadata = (),
        max_receive_bytes: int = DEFAULT_RECEIVE_BYTES,
    ) -> None:
        self.addresses = addresses_of(addresses)
        if balance:
            self.addresses = [balanced_target(self.addresses)]
        self._tenant = tenant
        self._timeout = timeout
        self._policy = retry or RetryPolicy()
        self._metadata = with_token(metadata, token)
        self._first = 0
        self._channels = [
            grpc.secure_channel(target, credentials, channel_options(target, max_receive_bytes, balance))
            if credentials is not None
            else grpc.insecure_channel(target, channel_options(target, max_receive_bytes, balance))
            for target in self.addresses
        ]

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections; calls that run are cancelled."""
        for channel in self._channels:
            channel.close()

    def generate(
        self,
        prompt: str | pb.GenerateRequest | None = None,
        *,
        timeout: float | None = None,
        metadata: Metadata = (),
        **options: Unpack[RequestOptions],
    ) -> Generation:
        """Paints, and streams what happens: Accepted, Progress, Preview, Image for each picture, Completed."""
        request = make_request(prompt, options)
        return Generation(self, request, self._call_options(request.model, timeout, metadata))

    def paint(
        self,
        prompt: str | pb.GenerateRequest | None = None,
        *,
        progress: Bar = None,
        timeout: float | None = None,
        metadata: Metadata = (),
        **options: Unpack[RequestOptions],
    ) -> events.Result:
        """Paints and returns the pictures, of any size. `progress`: True, "tqdm", "rich", or called with each event."""
        collector = _assembly.Collector()
        with (
            reporter(progress) as report,
            self.generate(prompt, timeout=timeout, metadata=metadata, **options) as generation,
        ):
            for event in generation:
                report(event)
                collector.add(event)
        return collector.result()

    def generate_image(
        self,
        prompt: str | pb.GenerateRequest | None = None,
        *,
        timeout: float | None = None,
        metadata: Metadata = (),
        **options: Unpack[RequestOptions],
    ) -> events.Result:
        """Paints in one answer, without a stream: for pictures that fit max_unary_response_bytes."""
        request = make_request(prompt, options)
        call = self._call_options(request.model, timeout, metadata)
        message = pb.GenerateImageRequest(request=request)
        return _assembly.unary_result(self._unary("GenerateImage", message, pb.GenerateImageResponse, call))

    def list_models(self, *, page_size: int = 0) -> list[model_pb2.Model]:
        """All models, the default one first."""
        models: list[model_pb2.Model] = []
        token = ""
        while True:
            request = pb.ListModelsRequest(page_size=page_size, page_token=token)
            page = self._unary("ListModels", request, pb.ListModelsResponse, self._call_options("", None, ()))
            models += page.models
            token = page.next_page_token
            if not token:
                return models

    def get_model(self, model: str = "") -> model_pb2.Model:
        """One model: defaults, limits, samplers, classes. "": the default one."""
        request = pb.GetModelRequest(model=model)
        return self._unary("GetModel", request, pb.GetModelResponse, self._call_options(model, None, ())).model

    def server_info(self) -> pb.GetServerInfoResponse:
        """Version, limits, devices and queue of the server that answers."""
        request = pb.GetServerInfoRequest()
        return self._unary("GetServerInfo", request, pb.GetServerInfoResponse, self._call_options("", None, ()))

    def _call_options(self, model: str, timeout: float | None, metadata: Metadata) -> CallOptions:
        deadline = deadline_after(self._timeout if timeout is None else timeout)
        return CallOptions(self._tenant, model, deadline, (*self._metadata, *metadata))

    def _retries(self, options: CallOptions) -> Retries:
        return Retries(self._policy, len(self.addresses), self._first, options.deadline)

    def _answered(self, index: int) -> None:
        """The next call begins where this one did well."""
        self._first = index

    def _open(self, index: int, request: pb.GenerateRequest, options: CallOptions) -> Iterator[pb.GenerateResponse]:
        stub: Callable[..., Iterator[pb.GenerateResponse]] = self._channels[index].unary_stream(
            SERVICE + "Generate",
            request_serializer=pb.GenerateRequest.SerializeToString,
            response_deserializer=pb.GenerateResponse.FromString,
        )
        return stub(request, timeout=options.remaining(), metadata=options.metadata())

    def _unary(self, method: str, request: Any, response: type[Response], options: CallOptions) -> Response:
        retries = self._retries(options)
        while True:
            stub: Callable[..., Response] = self._channels[retries.index].unary_unary(
                SERVICE + method,
                request_serializer=type(request).SerializeToString,
                response_deserializer=response.FromString,  # type: ignore[attr-defined]
            )
            try:
                answer = stub(request, timeout=options.remaining(), metadata=options.metadata())
                self._answered(retries.index)
                return answer
            except grpc.RpcError as error:
                failure: StepcastError = from_rpc(error, self.addresses[retries.index])
                threading.Event().wait(retries.after(failure, started=False))
