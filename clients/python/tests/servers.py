"""Servers to test against: the real binary, and one that says exactly what a test wants."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from stepcast.v1 import image_generation_pb2 as pb

SOURCE = pathlib.Path(__file__).resolve().parents[3]
BINARIES = pathlib.Path(os.environ.get("STEPCAST_BINARY_DIR", SOURCE / "build" / "dev"))
ENVIRONMENT = {**os.environ, "GOMP_SPINCOUNT": "200"}


class RealServer:
    """stepcast-server on free ports with the bundled models, ready."""

    def __init__(
        self, folder: pathlib.Path, config: str = "", model: str = "digits", ca: pathlib.Path | None = None
    ) -> None:
        ports = folder / "ports.json"
        text = "models:\n" + f"  - id: {model}\n    path: {SOURCE / 'models' / model}\n" + config
        (folder / "config.yaml").write_text(text)
        self.log = folder / "server.log"
        command = [str(BINARIES / "stepcast-server"), f"--config={folder / 'config.yaml'}", "--port=0"]
        command += ["--admin_port=0", "--metrics_port=0", "--profile_budget=0", f"--port_file={ports}"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=ENVIRONMENT)
        # The file appears in one piece once the server listens.
        while not ports.exists():
            assert self.process.poll() is None, self.log.read_text()
            os.sched_yield()
        port = json.loads(ports.read_text())["port"]
        self.address = f"127.0.0.1:{port}"
        trust = [] if ca is None else ["--ca", str(ca)]
        health = [str(BINARIES / "stepcast"), "--host", self.address, *trust, "health", "--wait", "120"]
        subprocess.run([*health, "--while-pid", str(self.process.pid)], check=True, stdout=subprocess.DEVNULL)

    def calls(self) -> list[dict[str, Any]]:
        """What the server has logged of calls."""
        # Up to the last whole line.
        whole = self.log.read_text().rpartition("\n")[0]
        lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [line for line in lines if line["msg"] == "call"]

    def logged(self, request_id: str) -> dict[str, Any]:
        """The line of one call, which the server writes when it has ended there."""
        while True:
            for line in self.calls():
                if line["request_id"] == request_id:
                    return line
            assert self.process.poll() is None, self.log.read_text()
            os.sched_yield()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def refusal(code: str, reason: str, delay: float | None = None, pushback: str | None = None) -> grpc.RpcError:
    """An error as the server makes them."""
    info = error_details_pb2.ErrorInfo(reason=reason, domain="stepcast.dev")
    status = status_pb2.Status(code=getattr(grpc.StatusCode, code).value[0], message=reason)
    details: list[Any] = [info]
    if delay is not None:
        retry = duration_pb2.Duration()
        retry.FromMilliseconds(int(delay * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=retry))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    error = Refusal(reason)
    error.status_code = getattr(grpc.StatusCode, code)
    error.trailers = [("grpc-status-details-bin", status.SerializeToString())]
    if pushback is not None:
        error.trailers.append(("grpc-retry-pushback-ms", pushback))
    return error


def cut_off(code: str, message: str) -> grpc.RpcError:
    """An error as the gRPC library makes them when a connection, or a stream on it, is gone."""
    error = Refusal(message)
    error.status_code, error.trailers = getattr(grpc.StatusCode, code), []
    return error


class Refusal(grpc.RpcError):
    status_code: grpc.StatusCode
    trailers: list[tuple[str, str | bytes]]


Script = Callable[[pb.GenerateRequest], Iterator[pb.GenerateResponse]]


class ScriptedServer:
    """Answers the n-th Generate call with the n-th script, which yields messages or raises a `refusal`."""

    def __init__(self, *scripts: Script) -> None:
        self.requests: list[pb.GenerateRequest] = []
        self.metadata: list[dict[str, str | bytes]] = []
        self.times: list[float] = []
        self.ended = threading.Event()
        self._scripts = scripts
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        handler = grpc.unary_stream_rpc_method_handler(
            self._generate, pb.GenerateRequest.FromString, pb.GenerateResponse.SerializeToString
        )
        service = grpc.method_handlers_generic_handler("stepcast.v1.ImageGenerationService", {"Generate": handler})
        self._server.add_generic_rpc_handlers((service,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _generate(self, request: pb.GenerateRequest, context: Any) -> Iterator[pb.GenerateResponse]:
        script = self._scripts[len(self.requests)]
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        self.times.append(time.monotonic())
        context.add_callback(self.ended.set)
        try:
            for sequence, response in zip(itertools.count(), script(request), strict=False):
                response.sequence = sequence
                yield response
        except Refusal as error:
            context.set_trailing_metadata(tuple(error.trailers))
            context.abort(error.status_code, str(error))

    def stop(self) -> None:
        self._server.stop(None).wait()


def free_port_of_nobody() -> str:
    """An address at which nobody listens: a port that was free a moment ago."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def run_module(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "stepcast", *arguments]
