"""The asynchronous client: as `stepcast.Client`, with `await` and `async for`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar, Unpack

import grpc
import grpc.aio

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
from stepcast.client import DEFAULT_RECEIVE_BYTES
from stepcast.errors import CallCancelledError, from_rpc
from stepcast.progress import Bar, reporter
from stepcast.v1 import image_generation_pb2 as pb
from stepcast.v1 import model_pb2

Response = TypeVar("Response")


class AsyncGeneration(AsyncIterator[events.Event]):
    """One Generate call. Leaving its `async with`, `cancel()` and cancelling the task free the server's rows."""

    def __init__(self, client: AsyncClient, request: pb.GenerateRequest, options: CallOptions) -> None:
        self._client = client
        self._options = options
        self._assembly = _assembly.Assembly(request)
        self._retries = client._retries(options)
        self._call: Any = None
        self._cancelled = asyncio.Event()
        self._ended = False

    @property
    def request_id(self) -> str:
        """What the server's log calls this call."""
        return self._options.request_id

    def __aiter__(self) -> AsyncGeneration:
        return self

    async def __anext__(self) -> events.Event:
        if self._ended:
            raise StopAsyncIteration
        try:
            return await self._next()
        except BaseException:
            self._ended = True
            self._abandon()
            raise

    def cancel(self) -> None:
        """Ends the call; who waits for an event gets CallCancelledError. Does nothing where it has ended."""
        self._cancelled.set()
        self._abandon()

    async def aclose(self) -> None:
        self.cancel()

    async def result(self) -> events.Result:
        """Reads on to the end, and sums up. To be called before anything was read."""
        collector = _assembly.Collector()
        async for event in self:
            collector.add(event)
        return collector.result()

    async def __aenter__(self) -> AsyncGeneration:
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.cancel()

    def _abandon(self) -> None:
        if self._call is not None:
            self._call.cancel()

    async def _next(self) -> events.Event:
        while True:
            self._raise_if_cancelled()
            if self._call is None:
                self._call = self._client._open(self._retries.index, self._assembly.request, self._options)
            try:
                response = await self._call.read()
            except grpc.RpcError as error:
                await self._recover(error)
                continue
            except asyncio.CancelledError:
                # grpc.aio tells a cancelled call and a cancelled task in the same way.
                self._raise_if_cancelled()
                raise
            if response is grpc.aio.EOF:
                self._client._answered(self._retries.index)
                if self._assembly.finish():
                    raise StopAsyncIteration
                self._restart()
                continue
            event = self._assembly.add(response)
            if event is not None:
                return event

    def _raise_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise CallCancelledError("cancelled by the caller", code="CANCELLED")

    async def _recover(self, error: grpc.RpcError) -> None:
        self._raise_if_cancelled()
        failure = from_rpc(error, self._client.addresses[self._retries.index])
        dropped = token_refused(failure) and self._assembly.drop_token()
        wait = 0.0 if dropped else self._retries.after(failure, self._assembly.started)
        self._restart()
        if wait:
            try:
                await asyncio.wait_for(self._cancelled.wait(), wait)
            except TimeoutError:
                return

    def _restart(self) -> None:
        self._assembly.restart()
        self._call = None


class AsyncClient:
    """As `stepcast.Client`, for one event loop: construct it where that runs."""

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
            grpc.aio.secure_channel(target, credentials, channel_options(target, max_receive_bytes, balance))
            if credentials is not None
            else grpc.aio.insecure_channel(target, channel_options(target, max_receive_bytes, balance))
            for target in self.addresses
        ]

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections; calls that run are cancelled."""
        for channel in self._channels:
            await channel.close()

    def generate(
        self,
        prompt: str | pb.GenerateRequest | None = None,
        *,
        timeout: float | None = None,
        metadata: Metadata = (),
        **options: Unpack[RequestOptions],
    ) -> AsyncGeneration:
        """Paints, and streams what happens: Accepted, Progress, Preview, Image for each picture, Completed."""
        request = make_request(prompt, options)
        return AsyncGeneration(self, request, self._call_options(request.model, timeout, metadata))

    async def paint(
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
        generation = self.generate(prompt, timeout=timeout, metadata=metadata, **options)
        with reporter(progress) as report:
            async with generation:
                async for event in generation:
                    report(event)
                    collector.add(event)
        return collector.result()

    async def generate_image(
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
        return _assembly.unary_result(await self._unary("GenerateImage", message, pb.GenerateImageResponse, call))

    async def list_models(self, *, page_size: int = 0) -> list[model_pb2.Model]:
        """All models, the default one first."""
        models: list[model_pb2.Model] = []
        token = ""
        while True:
            request = pb.ListModelsRequest(page_size=page_size, page_token=token)
            page = await self._unary("ListModels", request, pb.ListModelsResponse, self._call_options("", None, ()))
            models += page.models
            token = page.next_page_token
            if not token:
                return models

    async def get_model(self, model: str = "") -> model_pb2.Model:
        """One model: defaults, limits, samplers, classes. "": the default one."""
        request = pb.GetModelRequest(model=model)
        return (await self._unary("GetModel", request, pb.GetModelResponse, self._call_options(model, None, ()))).model

    async def server_info(self) -> pb.GetServerInfoResponse:
        """Version, limits, devices and queue of the server that answers."""
        request = pb.GetServerInfoRequest()
        return await self._unary("GetServerInfo", request, pb.GetServerInfoResponse, self._call_options("", None, ()))

    def _call_options(self, model: str, timeout: float | None, metadata: Metadata) -> CallOptions:
        deadline = deadline_after(self._timeout if timeout is None else timeout)
        return CallOptions(self._tenant, model, deadline, (*self._metadata, *metadata))

    def _retries(self, options: CallOptions) -> Retries:
        return Retries(self._policy, len(self.addresses), self._first, options.deadline)

    def _answered(self, index: int) -> None:
        self._first = index

    def _open(self, index: int, request: pb.GenerateRequest, options: CallOptions) -> Any:
        stub = self._channels[index].unary_stream(
            SERVICE + "Generate",
            request_serializer=pb.GenerateRequest.SerializeToString,
            response_deserializer=pb.GenerateResponse.FromString,
        )
        return stub(request, timeout=options.remaining(), metadata=options.metadata())

    async def _unary(self, method: str, request: Any, response: type[Response], options: CallOptions) -> Response:
        retries = self._retries(options)
        while True:
            stub: Any = self._channels[retries.index].unary_unary(
                SERVICE + method,
                request_serializer=type(request).SerializeToString,
                response_deserializer=response.FromString,  # type: ignore[attr-defined]
            )
            try:
                answer: Response = await stub(request, timeout=options.remaining(), metadata=options.metadata())
                self._answered(retries.index)
                return answer
            except grpc.RpcError as error:
                await asyncio.sleep(retries.after(from_rpc(error, self.addresses[retries.index]), started=False))
