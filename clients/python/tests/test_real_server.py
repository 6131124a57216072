"""The whole client against the real server and its bundled models."""

from __future__ import annotations

import asyncio
import hashlib
import json
import pathlib
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from servers import RealServer, free_port_of_nobody, run_module

import stepcast
from stepcast import events, notebook

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "examples"


def test_every_event_comes_in_order(client: stepcast.Client) -> None:
    # Previews get a tenth of the ticks: so many steps that each picture has one on any machine.
    with client.generate("a red apple", seed=7, steps=60, image_count=2, preview=12) as generation:
        seen = list(generation)
    accepted, completed = seen[0], seen[-1]
    assert isinstance(accepted, stepcast.Accepted)
    assert isinstance(completed, stepcast.Completed)
    assert (accepted.request.seed, accepted.request.image_count, accepted.evaluations) == (7, 2, 60)
    for index in range(2):
        kinds = [type(event) for event in seen if getattr(event, "image_index", None) == index]
        assert {stepcast.Progress, stepcast.Preview} <= set(kinds)
        assert kinds.index(stepcast.Preview) < kinds.index(stepcast.Image)
        assert kinds[-1] is stepcast.Image
    images = [event for event in seen if isinstance(event, stepcast.Image)]
    assert sorted(image.seed for image in images) == [7, 8]
    assert all(hashlib.sha256(image.data).hexdigest() == image.sha256 for image in images)
    assert all(image.pil().size == (image.width, image.height) == (64, 64) for image in images)
    preview = next(event for event in seen if isinstance(event, stepcast.Preview))
    assert preview.pil().size == (preview.width, preview.height)
    assert completed.timings.total > 0
    assert completed.evaluations == 120
    assert len(completed.model_sha256) == 64


def test_pictures_larger_than_a_chunk_are_put_together(client: stepcast.Client) -> None:
    assert client.server_info().limits.image_chunk_bytes == 1024
    image = client.paint("a red apple", seed=7, steps=4).image
    assert len(image.data) > 3 * 1024


def test_accepted_paints_the_same_again_and_unary_the_same_as_the_stream(client: stepcast.Client) -> None:
    first = client.paint("a red apple", steps=4, sampler="euler")
    assert client.paint(first.request).image.data == first.image.data
    unary = client.generate_image(first.request)
    assert unary.image.data == first.image.data
    assert unary.completed is not None
    assert unary.completed.evaluations == 4


def test_validate_only_paints_nothing(client: stepcast.Client) -> None:
    result = client.paint("a red apple", validate_only=True)
    assert result.images == ()
    assert result.completed is None
    assert result.request.steps > 0
    assert client.generate_image("a red apple", validate_only=True).images == ()


def test_wrong_fields_are_all_named(client: stepcast.Client) -> None:
    with pytest.raises(stepcast.InvalidRequestError) as refused:
        client.paint("a red apple", width=100, steps=0)
    error = refused.value
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert {violation.field for violation in error.field_violations} == {"width", "steps"}
    assert "got 100" in str(error)
    assert error.request_id
    with pytest.raises(stepcast.ModelNotFoundError, match="MODEL_NOT_FOUND") as unknown:
        client.get_model("nobody")
    assert "emoji" in unknown.value.metadata["available"]


def test_a_deadline_that_passes_is_told(client: stepcast.Client) -> None:
    with pytest.raises((stepcast.DeadlineExceededError, stepcast.OverloadedError)):
        client.paint("a red apple", steps=100, image_count=4, timeout=0.05)


def test_models_and_server(client: stepcast.Client) -> None:
    models = client.list_models(page_size=1)
    assert [model.id for model in models] == ["emoji"]
    assert client.get_model().id == models[0].id
    assert client.server_info().default_model == "emoji"


def test_what_the_call_carries_is_in_the_log(server: RealServer, client: stepcast.Client) -> None:
    with client.generate("a red apple", steps=1) as generation:
        generation.result()
    assert server.logged(generation.request_id)["code"] == "OK"


def test_leaving_the_stream_cancels(server: RealServer, client: stepcast.Client) -> None:
    with client.generate("a red apple", steps=100, image_count=4) as generation:
        next(generation)
    assert server.logged(generation.request_id)["reason"] == "CLIENT_CANCELLED"
    with pytest.raises(stepcast.CallCancelledError):
        next(generation)


def test_an_interrupt_while_waiting_cancels(server: RealServer, client: stepcast.Client) -> None:
    generation = client.generate("a red apple", steps=100, image_count=4)
    next(generation)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    with pytest.raises(KeyboardInterrupt):
        for _ in generation:
            pass
    assert server.logged(generation.request_id)["reason"] == "CLIENT_CANCELLED"


def test_progress_is_reported(client: stepcast.Client) -> None:
    seen: list[events.Event] = []
    client.paint("a red apple", steps=2, progress=seen.append)
    assert isinstance(seen[-1], stepcast.Completed)
    client.paint("a red apple", steps=2, progress="tqdm")
    client.paint("a red apple", steps=2, progress="rich")


def test_a_notebook_shows_previews_then_the_picture(client: stepcast.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[events.PictureFile] = []

    class Handle:
        def update(self, picture: events.PictureFile) -> None:
            shown.append(picture)

    def display(picture: events.PictureFile, display_id: bool) -> Handle:
        assert display_id
        shown.append(picture)
        return Handle()

    fake = types.ModuleType("IPython.display")
    fake.display = display  # type: ignore[attr-defined]
    package = types.ModuleType("IPython")
    package.display = fake  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", fake)
    cells = json.loads((EXAMPLES / "previews.ipynb").read_text())["cells"]
    program = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    monkeypatch.setenv("STEPCAST_HOST", client.addresses[0])
    variables: dict[str, Any] = {}
    exec(program, variables)
    assert len(variables["apples"].images) == 4
    assert [type(picture) for picture in shown].count(stepcast.Image) == 5
    shown.clear()
    result = notebook.show(client.generate("a red apple", steps=5, preview=1))
    assert [type(picture) for picture in shown[-2:]] == [stepcast.Preview, stepcast.Image]
    assert shown[0]._repr_jpeg_()
    assert result._repr_png_() == result.image.data


def test_pictures_that_go_with_a_request_arrive(client: stepcast.Client) -> None:
    # Decoded where the model takes pictures, refused where it does not: by name in both cases.
    with pytest.raises(stepcast.InvalidRequestError) as refused:
        client.paint("a rocket", init_image=b"no picture")
    assert "init_image" in {violation.field for violation in refused.value.field_violations}


async def test_eight_at_once_beside_each_other(server: RealServer) -> None:
    async with stepcast.AsyncClient(server.address, timeout=120) as client:
        paints = (client.paint("a red apple", seed=seed, steps=4) for seed in range(8))
        results = await asyncio.gather(*paints)
        assert [result.image.seed for result in results] == list(range(8))
        assert len({result.image.sha256 for result in results}) == 8
        assert max(result.completed.mean_rows for result in results if result.completed) > 2
        # Alone it comes out as among others, within what free mode allows: the same picture, if not the same bytes.
        unary = await client.generate_image("a red apple", seed=3, steps=4)
        alone, among = unary.image.pil().tobytes(), results[3].image.pil().tobytes()
        assert max(abs(a - b) for a, b in zip(alone, among, strict=True)) <= 1
        assert [model.id for model in await client.list_models()] == ["emoji"]
        assert (await client.get_model()).id == (await client.server_info()).default_model


async def test_cancelling_the_task_cancels_the_call(server: RealServer) -> None:
    async with stepcast.AsyncClient(server.address) as client:
        generation = client.generate("a red apple", steps=100, image_count=4)
        await anext(generation)

        async def read() -> None:
            async for _ in generation:
                pass

        task = asyncio.create_task(read())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert server.logged(generation.request_id)["reason"] == "CLIENT_CANCELLED"
        other = client.generate("a red apple", steps=100, image_count=4)
        async with other:
            await anext(other)
        assert server.logged(other.request_id)["reason"] == "CLIENT_CANCELLED"


def test_a_dead_address_is_passed_over(server: RealServer) -> None:
    with stepcast.Client([free_port_of_nobody(), server.address], timeout=60) as client:
        assert client.paint("a red apple", steps=1).image.width == 64
        assert client.server_info().default_model == "emoji"


def test_a_full_queue_is_waited_for(real: Callable[..., RealServer]) -> None:
    busy = real("max_rows: 2\nmax_resident_jobs: 1\nscheduler: {max_queued_jobs: 1}\n")
    with (
        stepcast.Client(busy.address, retry=stepcast.NO_RETRY) as impatient,
        stepcast.Client(busy.address, timeout=120, retry=stepcast.RetryPolicy(rounds=1000)) as patient,
        patient.generate(class_label="7", steps=40) as first,
        patient.generate(class_label="7", steps=1) as second,
    ):
        next(first), next(second)
        with pytest.raises(stepcast.OverloadedError) as full:
            impatient.paint(class_label="7", steps=1, image_count=2)
        assert full.value.reason == "QUEUE_FULL"
        assert full.value.retry_delay is not None
        assert patient.paint(class_label="7", steps=1).image.width == 32


def test_a_call_that_the_server_drains_goes_on_elsewhere(real: Callable[..., RealServer]) -> None:
    first, second = real("drain: {timeout: 1ms}\n"), real()
    with stepcast.Client([first.address, second.address], timeout=120) as client:
        with client.generate(class_label="7", steps=60, image_count=2) as generation:
            accepted = next(generation)
            assert isinstance(accepted, stepcast.Accepted)
            first.process.send_signal(signal.SIGTERM)
            result = generation.result()
        assert result.request.seed == accepted.request.seed
        assert [image.seed for image in result.images] == [accepted.request.seed + index for index in range(2)]
        # The next call begins where this one ended.
        assert client.server_info().default_model == "digits"


def test_a_call_whose_server_is_killed_goes_on_elsewhere(real: Callable[..., RealServer]) -> None:
    first, second = real(), real()
    with (
        stepcast.Client([first.address, second.address], timeout=120) as client,
        client.generate(class_label="7", steps=60) as generation,
    ):
        accepted = next(generation)
        assert isinstance(accepted, stepcast.Accepted)
        first.process.kill()
        assert generation.result().image.seed == accepted.request.seed


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_no_evaluation_is_repeated_where_servers_share_a_key(
    real: Callable[..., RealServer], tmp_path: pathlib.Path, by: signal.Signals
) -> None:
    (tmp_path / "keys").write_text("a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=\n")
    config = f"resume: {{key_file: {tmp_path / 'keys'}, min_checkpoint_every: 1}}\ndrain: {{timeout: 1ms}}\n"
    first, second = real(config), real(config)
    with stepcast.Client([first.address, second.address], timeout=120) as client:
        with client.generate(class_label="7", steps=60, seed=7, checkpoint_every=4) as generation:
            reached = next(event for event in generation if isinstance(event, stepcast.Checkpoint))
            first.process.send_signal(by)
            rest = list(generation)
        image = next(event for event in rest if isinstance(event, stepcast.Image))
        completed = rest[-1]
        assert isinstance(completed, stepcast.Completed)
        assert completed.evaluations <= 60 - reached.evaluations_done
        assert client.paint(class_label="7", steps=60, seed=7).image.sha256 == image.sha256


async def test_calls_are_spread_over_replicas_and_a_drain_refuses_nobody(real: Callable[..., RealServer]) -> None:
    first, second = real("drain: {linger: 1s}\n"), real()
    addresses = [first.address, second.address]
    with stepcast.Client(addresses, balance=True, timeout=120, retry=stepcast.NO_RETRY) as client:
        while not (first.calls() and second.calls()):
            client.paint(class_label="7", steps=1)
        first.process.send_signal(signal.SIGTERM)
        while first.process.poll() is None:
            client.paint(class_label="7", steps=1)
    async with stepcast.AsyncClient(second.address, balance=True, timeout=120) as same:
        assert (await same.server_info()).default_model == "digits"


def test_the_program_paints(server: RealServer, tmp_path: pathlib.Path) -> None:
    target = tmp_path / "apple.jpg"
    command = run_module("a red apple", "--host", server.address, "--seed", "7", "--steps", "2", "-o", str(target))
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert target.read_bytes().startswith(b"\xff\xd8")
    assert "seed 7" in done.stderr
    refused = subprocess.run(
        run_module("x", "--host", server.address, "--steps", "0"), capture_output=True, text=True, cwd=tmp_path
    )
    assert refused.returncode == 3
    assert "steps: got 0" in refused.stderr
    assert subprocess.run(run_module("x", "-o", "a.gif"), capture_output=True).returncode == 2


def test_ctrl_c_of_the_program_cancels(server: RealServer, tmp_path: pathlib.Path) -> None:
    target = tmp_path / "apple.png"
    before = len(server.calls())
    command = run_module("x", "--host", server.address, "--steps", "150", "--image-count", "4")
    program = subprocess.Popen([*command, "--preview", "10", "-o", str(target)], stderr=subprocess.PIPE)
    while not list(tmp_path.glob("apple-*.png")):
        assert program.poll() is None
    program.send_signal(signal.SIGINT)
    assert program.wait() == 130
    while len(server.calls()) == before:
        pass
    assert server.calls()[-1]["reason"] == "CLIENT_CANCELLED"


def test_a_token_and_tls_let_a_client_in(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca, key, tokens = (tmp_path / name for name in ("cert.pem", "key.pem", "tokens.yaml"))
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    make += ["-keyout", str(key), "-out", str(ca), "-subj", "/CN=stepcast", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(make, check=True, capture_output=True)
    tokens.write_text(f"- {{sha256: {hashlib.sha256(b'sct_python').hexdigest()}, tenant: acme}}\n")
    config = f"auth: {{token_file: {tokens}}}\ntls: {{cert_file: {ca}, key_file: {key}}}\n"
    server = RealServer(tmp_path, config, ca=ca)
    credentials = grpc.ssl_channel_credentials(ca.read_bytes())
    try:
        with stepcast.Client(server.address, credentials=credentials, timeout=60) as stranger:
            with pytest.raises(stepcast.StepcastError) as refused:
                stranger.server_info()
            assert refused.value.reason == "TOKEN_MISSING"
        with stepcast.Client(server.address, credentials=credentials, token="sct_python", timeout=60) as friend:
            assert len(list(friend.list_models())) == 1
        monkeypatch.setenv("STEPCAST_TOKEN", "sct_python")

        async def ask() -> str:
            async with stepcast.AsyncClient(server.address, credentials=credentials, timeout=60) as client:
                return (await client.server_info()).version

        assert asyncio.run(ask()) != ""
    finally:
        server.stop()
