#!/usr/bin/env python3
"""Several real servers behind a real Envoy with the shipped configurations: balance, rolling restarts, deaths, tenants, models.

    scale_out_test.py <folder of the binaries> <envoy> [<unittest options>]

Needs the Python client's packages on PYTHONPATH; `./dev test scale` brings all of it. Some two minutes on two idle cores.
"""
import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from concurrent import futures

import grpc
import yaml

import replicas
from replicas import ROOT, Crowd, Envoy, Replica, wait_until

import stepcast
from stepcast.v1 import image_generation_pb2 as pb

ENVOY_FILES = ROOT / "deploy" / "envoy"
GENERATE = "/stepcast.v1.ImageGenerationService/Generate"
LINGER = 4  # seconds: two health checks, and a busy machine


def config(*models, extra="", load="eager"):
    entries = "".join(f"  - {{id: {name}, path: {ROOT}/models/{name}, load: {load}}}\n" for name in models)
    return f"models:\n{entries}drain: {{linger: {LINGER}s, timeout: 60s}}\n{extra}"


def access_log(envoy):
    lines = [line for line in envoy.log.read_text().splitlines() if line.startswith("{")]
    return [json.loads(line) for line in lines]


class Stage(unittest.TestCase):
    """Replicas and an Envoy that live as long as the class."""

    @classmethod
    def set_stage(cls, configuration, configs, clusters=None, flags=(), change=lambda config: None):
        cls.stack = contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)
        cls.folder = cls.stack.enter_context(tempfile.TemporaryDirectory())
        cls.replicas = [Replica(BINARIES, cls.folder, f"replica{number}", text, flags) for number, text in enumerate(configs)]
        for replica in cls.replicas:
            cls.stack.callback(replica.stop)
        threads = [threading.Thread(target=replica.start) for replica in cls.replicas]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        endpoints = clusters(cls.replicas) if clusters else {"stepcast": cls.replicas}
        cls.envoy = Envoy(ENVOY, cls.folder, ENVOY_FILES / configuration, endpoints, change)
        cls.stack.callback(cls.envoy.stop)

    def client(self, **options):
        options.setdefault("timeout", replicas.PATIENCE)
        return self.enterContext(stepcast.Client(self.envoy.address, **options))

    def all_healthy(self):
        wait_until(lambda: self.envoy.healthy() == len(self.replicas), "Envoy sees all replicas")


class EqualReplicasTest(Stage):
    @classmethod
    def setUpClass(cls):
        cls.set_stage("envoy.yaml", [config("emoji")] * 2)

    def setUp(self):
        self.all_healthy()

    def test_calls_of_one_connection_go_to_both(self):
        client = self.client()
        before = [replica.painted() for replica in self.replicas]
        crowd = Crowd(4, lambda seed: client.paint("a red apple", seed=seed, steps=4))
        crowd.wait_for(24)
        self.assertEqual(crowd.finish().failures, [])
        shares = [replica.painted() - count for replica, count in zip(self.replicas, before)]
        self.assertEqual(sum(shares), crowd.count())
        self.assertGreater(min(shares), sum(shares) / 4, shares)
        self.assertEqual(client.server_info().default_model, "emoji")

    def test_logs_of_both_have_the_clients_id(self):
        with self.client().generate("a red apple", steps=1) as generation:
            generation.result()
        wait_until(lambda: any(line["request_id"] == generation.request_id for line in access_log(self.envoy)), "the access log")
        told = "".join(pathlib.Path(self.folder, f"{replica.name}.log").read_text() for replica in self.replicas)
        self.assertIn(generation.request_id, told)

    def test_a_page_is_served_over_grpc_web(self):
        request = pb.GenerateRequest(prompt="a red apple", steps=4, seed=7).SerializeToString()
        connection = http.client.HTTPConnection("127.0.0.1", self.envoy.port, timeout=replicas.PATIENCE)
        with contextlib.closing(connection):
            origin = {"Origin": "http://localhost:8080"}
            connection.request("OPTIONS", GENERATE, headers=origin | {"Access-Control-Request-Method": "POST"})
            allowed = connection.getresponse()
            allowed.read()
            self.assertEqual(allowed.getheader("access-control-allow-origin"), origin["Origin"])
            for header in ("content-type", "x-grpc-web", "x-stepcast-model", "grpc-timeout"):
                self.assertIn(header, allowed.getheader("access-control-allow-headers"))
            # The last header is kept from the server, which would close the connection that all callers share.
            headers = {"Content-Type": "application/grpc-web+proto", "X-Grpc-Web": "1", "Spoilt-Bin": "no base64!"}
            connection.request("POST", GENERATE, body=struct.pack(">BI", 0, len(request)) + request, headers=origin | headers)
            body = connection.getresponse().read()
        kinds, trailers = [], ""
        while body:
            flags, size = struct.unpack(">BI", body[:5])
            frame, body = body[5:5 + size], body[5 + size:]
            if flags & 0x80:
                trailers = frame.decode()
            else:
                kinds.append(pb.GenerateResponse.FromString(frame).WhichOneof("event"))
        self.assertEqual((kinds[0], kinds[-1]), ("accepted", "completed"))
        self.assertIn("image_chunk", kinds)
        self.assertRegex(trailers, r"grpc-status: ?0")

    def test_a_rolling_restart_fails_nobody(self):
        # The clients never try again: what a replica refuses that drains Envoy brings to the other.
        client = self.client(retry=stepcast.NO_RETRY)
        crowd = Crowd(4, lambda seed: client.paint("a red apple", seed=seed, steps=10))
        crowd.wait_for(8)
        for replica in self.replicas:
            self.assertEqual(replica.drain(), 0)
            replica.start()
            self.all_healthy()
            crowd.wait_for(8)
        self.assertEqual(crowd.finish().failures, [])
        self.assertEqual([made.image.seed for seed, made in crowd.pictures], [seed for seed, _ in crowd.pictures])

    def test_refusals_of_a_replica_that_drains_go_to_the_other(self):
        # Health is not asked here, so every second call meets the replica that refuses.
        def blind(settings):
            del settings["static_resources"]["clusters"][0]["health_checks"]
        draining = Replica(BINARIES, self.folder, "draining", config("emoji").replace(f"linger: {LINGER}s", "linger: 0"))
        self.addCleanup(draining.stop)
        draining.start()
        envoy = Envoy(ENVOY, self.folder, ENVOY_FILES / "envoy.yaml", {"stepcast": [draining, self.replicas[0]]}, blind)
        self.addCleanup(envoy.stop)
        with stepcast.Client(draining.address) as holds, holds.generate("a cat", steps=100, image_count=4) as long:
            next(long)
            draining.process.terminate()
            with stepcast.Client(draining.address, retry=stepcast.NO_RETRY) as direct:
                wait_until(lambda: self.refuses(direct), "it drains")
            with stepcast.Client(envoy.address, timeout=replicas.PATIENCE, retry=stepcast.NO_RETRY) as client:
                for seed in range(4):
                    client.paint("a red apple", seed=seed, steps=1)
        draining.process.wait(replicas.PATIENCE)
        wait_until(lambda: any(line["attempts"] > 1 for line in access_log(envoy)), "a second attempt in the access log")

    def refuses(self, client):
        try:
            client.paint("a red apple", steps=1)
        except stepcast.UnavailableError as error:
            return error.reason == "DRAINING"
        return False

    def test_what_a_drain_cuts_off_is_painted_elsewhere(self):
        short = Replica(BINARIES, self.folder, "short", config("emoji").replace("timeout: 60s", "timeout: 1ms"))
        self.addCleanup(short.stop)
        short.start()
        with stepcast.Client([short.address, self.envoy.address], timeout=replicas.PATIENCE) as client:
            with client.generate("a red apple", steps=100, image_count=2) as generation:
                first = next(generation)
                short.process.terminate()
                result = generation.result()
        self.assertEqual([image.seed for image in result.images], [first.request.seed, first.request.seed + 1])

    def test_a_death_costs_its_own_calls_a_second_try_with_the_same_seed(self):
        client, tries = self.client(), {}

        def paint(seed):
            collected = []
            with client.generate("a red apple", seed=seed, steps=20) as generation:
                for event in generation:
                    collected.append(event)
            tries[seed] = [event.request.seed for event in collected if isinstance(event, stepcast.Accepted)]
            return [event for event in collected if isinstance(event, stepcast.Image)]

        def cut_off():
            return [line for line in access_log(self.envoy) if line["path"] == GENERATE and "UC" in line["flags"]]

        before, crowd = len(cut_off()), Crowd(6, paint)
        crowd.wait_for(6)
        victim = self.replicas[0]
        wait_until(lambda: victim.value("stepcast_requests_running") >= 2, "it paints")
        victim.kill()
        crowd.wait_for(12)
        victim.start()
        self.all_healthy()
        crowd.wait_for(6)
        self.assertEqual(crowd.finish().failures, [])
        self.assertTrue(all(len(images) == 1 and images[0].seed == seed for seed, images in crowd.pictures))
        repeated = [seed for seed, seeds in tries.items() if len(seeds) > 1]
        self.assertTrue(all(set(tries[seed]) == {seed} and len(tries[seed]) == 2 for seed in repeated), tries)
        # Those that Envoy saw cut off, and none of the other replica's. One that was not yet accepted has begun only once.
        self.assertIn(len(repeated), range(1, len(cut_off()) - before + 1))
        self.assertLess(len(cut_off()) - before, 6)

    def test_a_slow_replica_gets_less(self):
        slow, fast = self.replicas
        before = [replica.painted() for replica in self.replicas]
        client, enough = self.client(), threading.Event()

        def hold_back():
            # At work for a tenth of the time; stopped for less than a health check waits.
            while not enough.wait(0.1):
                slow.signal(signal.SIGSTOP)
                enough.wait(0.9)
                slow.signal(signal.SIGCONT)

        holding = threading.Thread(target=hold_back)
        holding.start()
        try:
            crowd = Crowd(4, lambda seed: client.paint("a red apple", seed=seed, steps=10))
            crowd.wait_for(40)
            self.assertEqual(crowd.finish().failures, [])
        finally:
            enough.set()
            holding.join()
        shares = [replica.painted() - count for replica, count in zip(self.replicas, before)]
        print(f"result: pictures of the slow and of the fast replica: {shares[0]:.0f}, {shares[1]:.0f}")
        self.assertLess(shares[0], shares[1] / 2)

    def test_nobody_ready_is_told_at_once(self):
        lonely = Envoy(ENVOY, self.folder, ENVOY_FILES / "envoy.yaml", {"stepcast": []})
        self.addCleanup(lonely.stop)
        with stepcast.Client(lonely.address, retry=stepcast.NO_RETRY, timeout=10) as client:
            with self.assertRaisesRegex(stepcast.UnavailableError, "no healthy upstream"):
                client.paint("a red apple")


class ModelsTest(Stage):
    """by-model.yaml: one replica has emoji alone, two load six others on demand."""

    @classmethod
    def setUpClass(cls):
        def routed_as_sdxl(settings):
            text = json.dumps(settings).replace('"exact": "sdxl"', '"exact": "emoji"')
            settings.update(json.loads(text))
        many = "models:\n" + "".join(
            f"  - {{id: digits-{number}, path: {ROOT}/models/digits, load: on_demand}}\n" for number in range(6))
        cls.set_stage("by-model.yaml", [config("emoji"), many, many], lambda made: {"sdxl": made[:1], "stepcast": made[1:]},
                      change=routed_as_sdxl)

    def test_calls_go_to_who_has_the_model(self):
        client = self.client()
        self.assertEqual(client.paint("a red apple", model="emoji", steps=1).request.model, "emoji")
        self.assertEqual(client.get_model("emoji").id, "emoji")
        self.assertEqual([model.id for model in client.list_models()], [f"digits-{number}" for number in range(6)])
        # Who says no model gets the default of `stepcast`.
        self.assertEqual(client.paint(class_label="7", steps=1).request.model, "digits-0")

    def test_a_model_is_loaded_by_one_replica(self):
        client = self.client()
        for _ in range(3):
            for number in range(6):
                client.paint(class_label="7", model=f"digits-{number}", steps=1)
        for number in range(6):
            loaded = [replica.value("stepcast_model_loads_total", model=f"digits-{number}") for replica in self.replicas[1:]]
            self.assertEqual(sorted(loaded), [0, 1], f"digits-{number}")


class RateLimits:
    """Answers as Envoy's rate limit service does: so many calls for each tenant."""

    def __init__(self, calls):
        self.left = {}

        def decide(request, _):
            # RateLimitRequest, of which the value of the only descriptor entry matters; RateLimitResponse.overall_code.
            tenant = next(name for name in (b"acme", b"other") if name in request)
            self.left[tenant] = self.left.get(tenant, calls) - 1
            return b"\x08\x01" if self.left[tenant] >= 0 else b"\x08\x02"

        self.server = grpc.server(futures.ThreadPoolExecutor(2))
        handlers = {"ShouldRateLimit": grpc.unary_unary_rpc_method_handler(decide)}
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("envoy.service.ratelimit.v3.RateLimitService", handlers),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()


class TenantsTest(Stage):
    SECRET = b"a secret of the test, shared with Envoy"

    @classmethod
    def setUpClass(cls):
        cls.limits = RateLimits(calls=3)

        def local(settings):
            resources = settings["static_resources"]
            filters = replicas.manager(settings)["http_filters"]
            provider = next(each for each in filters if each["name"].endswith("jwt_authn"))["typed_config"]["providers"]["issuer"]
            del provider["remote_jwks"]
            key = {"kty": "oct", "alg": "HS256", "k": words(cls.SECRET)}
            provider["local_jwks"] = {"inline_string": json.dumps({"keys": [key]})}
            resources["clusters"] = [each for each in resources["clusters"] if each["name"] != "issuer"]
            limits = next(each for each in resources["clusters"] if each["name"] == "ratelimit")
            limits["type"] = "STATIC"
            limits["load_assignment"]["endpoints"] = replicas.endpoints([cls.limits.port])
        cls.set_stage("tenant-limits.yaml", [config("digits", extra="tenants: {named: [{name: acme, weight: 3}]}\n")] * 2, change=local)
        cls.addClassCleanup(lambda: cls.limits.server.stop(None).wait())

    def token(self, **claims):
        claims = {"iss": "https://issuer.example.com", "aud": "stepcast", "exp": int(time.time()) + 600} | claims
        text = b".".join(words(json.dumps(part).encode()).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        signature = hmac.new(self.SECRET, text, hashlib.sha256).digest()
        return ("authorization", f"Bearer {text.decode()}.{words(signature)}")

    def test_limits_count_over_all_replicas_and_by_tenant(self):
        # What callers say of themselves is dropped: it would be a second name, which the server refuses.
        acme = self.client(metadata=[self.token(tenant="acme"), ("x-stepcast-tenant", "other")], retry=stepcast.NO_RETRY)
        for _ in range(3):
            acme.paint(class_label="7", steps=1)
        with self.assertRaises(stepcast.OverloadedError) as limited:
            acme.paint(class_label="7", steps=1)
        self.assertEqual(limited.exception.reason, "")
        other = self.client(metadata=[self.token(tenant="other")], retry=stepcast.NO_RETRY)
        other.paint(class_label="7", steps=1)
        seconds = sum(replica.value("stepcast_tenant_device_seconds_total", tenant="acme") for replica in self.replicas)
        self.assertGreater(seconds, 0)

    def test_nobody_paints_without_a_token(self):
        for metadata in ([], [self.token(tenant="acme", exp=1)], [("authorization", "Bearer nonsense")]):
            with self.subTest(metadata=metadata), self.assertRaises(stepcast.StepcastError) as refused:
                self.client(metadata=metadata, retry=stepcast.NO_RETRY).paint(class_label="7", steps=1)
            self.assertEqual(refused.exception.code, "UNAUTHENTICATED")


def words(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class ConfigurationsTest(unittest.TestCase):
    def test_envoy_takes_them(self):
        for path in sorted(ENVOY_FILES.glob("*.yaml")):
            with self.subTest(path=path.name):
                done = subprocess.run([ENVOY, "--mode", "validate", "--config-path", path], cwd=ENVOY_FILES, text=True, capture_output=True,
                                      check=False)
                self.assertEqual(done.returncode, 0, done.stderr[-2000:])
                # What a later Envoy will refuse is told now.
                self.assertNotRegex(done.stderr, "(?i)deprecated")

    def test_what_is_common_is_equal(self):
        plain = common(ENVOY_FILES / "envoy.yaml")
        for path in sorted(ENVOY_FILES.glob("*.yaml")):
            self.assertEqual(common(path), plain, path.name)


def common(path):
    """The configuration without what the files are about: routes, filters before the router, how a replica is chosen."""
    settings = yaml.safe_load(path.read_text())
    manager = replicas.manager(settings)
    manager.pop("early_header_mutation_extensions", None)
    manager["http_filters"] = [each for each in manager["http_filters"] if each["name"].rsplit(".", 1)[1] not in ("jwt_authn", "ratelimit")]
    (host,) = manager["route_config"]["virtual_hosts"]
    del host["routes"], host["typed_per_filter_config"]
    clusters = settings["static_resources"]["clusters"]
    settings["static_resources"]["clusters"] = [each for each in clusters if each["name"] == "stepcast"]
    del settings["static_resources"]["clusters"][0]["load_balancing_policy"]
    return settings


if __name__ == "__main__":
    BINARIES, ENVOY = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    del sys.argv[1:3]
    unittest.main()
