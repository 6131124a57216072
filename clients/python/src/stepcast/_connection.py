"""Addresses, channels and what every call carries."""

from __future__ import annotations

import ipaddress
import json
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

SERVICE = "/stepcast.v1.ImageGenerationService/"
DEFAULT_PORT = 50051
Metadata = Sequence[tuple[str, str]]


def target_of(address: str) -> str:
    """What gRPC dials for "host", "host:port", "[::1]:port", the same behind "http://" or "grpc://", or "unix:path"."""
    for scheme in ("http://", "grpc://"):
        if address.startswith(scheme):
            address = address.removeprefix(scheme).rstrip("/")
    if address.startswith(("unix:", "unix-abstract:", "dns:", "ipv4:", "ipv6:", "xds:")):
        return address
    if not address or address.isspace():
        raise ValueError("address: got an empty text; allowed: host or host:port")
    if address.startswith("["):
        return address if "]:" in address else f"{address}:{DEFAULT_PORT}"
    if address.count(":") > 1:
        return f"[{address}]:{DEFAULT_PORT}"
    return address if ":" in address else f"{address}:{DEFAULT_PORT}"


def addresses_of(addresses: str | Sequence[str] | None) -> list[str]:
    """Targets to dial; None: $STEPCAST_HOST, else this machine. A text may name several, with commas between."""
    if addresses is None:
        addresses = os.environ.get("STEPCAST_HOST") or f"localhost:{DEFAULT_PORT}"
    if isinstance(addresses, str):
        addresses = addresses.split(",")
    targets = [target_of(address.strip()) for address in addresses]
    if not targets:
        raise ValueError("addresses: got none; allowed: one or more")
    return targets


def balanced_target(targets: Sequence[str]) -> str:
    """One target that stands for all replicas: a name as it is (DNS tells its addresses), several as IP addresses."""
    if len(targets) == 1:
        return targets[0]
    versions = {_version(target) for target in targets}
    if len(versions) != 1 or versions == {0}:
        raise ValueError(f"balance: got {list(targets)}; allowed: one name, or IP addresses of one kind")
    return f"ipv{versions.pop()}:" + ",".join(targets)


def _version(target: str) -> int:
    try:
        return ipaddress.ip_address(target.rpartition(":")[0].strip("[]")).version
    except ValueError:
        return 0


# Every call to the next replica that says that it is ready: one that drains gets no more before it refuses.
_BALANCED = {"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": "readiness"}}


def channel_options(target: str, max_receive_bytes: int, balance: bool) -> list[tuple[str, int | str]]:
    options: list[tuple[str, int | str]] = [
        ("grpc.max_receive_message_length", max_receive_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # A server that was restarted is found again soon.
        ("grpc.max_reconnect_backoff_ms", 5_000),
        # Addresses are tried by this client, which knows what a refusal means.
        ("grpc.enable_retries", 0),
        ("grpc.primary_user_agent", "stepcast-python"),
    ]
    if balance:
        options.append(("grpc.service_config", json.dumps(_BALANCED)))
    if target.removeprefix("ipv4:").removeprefix("ipv6:").startswith(("localhost:", "127.", "[::1]")):
        options.append(("grpc.enable_http_proxy", 0))
    return options


def with_token(metadata: Metadata, token: str | None) -> Metadata:
    """`metadata` and the bearer token; None: $STEPCAST_TOKEN, if it is set."""
    token = os.environ.get("STEPCAST_TOKEN") if token is None else token
    return [*metadata, ("authorization", f"Bearer {token}")] if token else metadata


@dataclass(frozen=True)
class CallOptions:
    """What goes beside a request: the same id in every try, so that logs tell them as one."""

    tenant: str | None = None
    model: str = ""
    deadline: float | None = None
    extra: Metadata = ()
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def metadata(self) -> list[tuple[str, str]]:
        pairs = [("x-request-id", self.request_id)]
        if self.tenant is not None:
            pairs.append(("x-stepcast-tenant", self.tenant))
        # For proxies that route by model without reading the request.
        if self.model:
            pairs.append(("x-stepcast-model", self.model))
        return [*pairs, *self.extra]

    def remaining(self) -> float | None:
        """Seconds that are left of the call's timeout."""
        return None if self.deadline is None else max(self.deadline - time.monotonic(), 0.0)


def deadline_after(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout
