#!/usr/bin/env python3
"""deploy/kubernetes and deploy/helm: what holds of every rendering, and that both render the same.

    kubernetes_test.py <folder of the binaries> [<folder with helm, kubeconform and schemas/>]

Needs kubectl, which renders without a cluster; 77: it is not there. `./dev test k8s` brings the rest.
"""
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

try:
    import yaml
except ImportError:
    print("skipped: needs python3-yaml")
    sys.exit(77)

import manifests
from manifests import KUBERNETES, ROOT, only, pod_of

COMPONENTS = sorted(path.name for path in (KUBERNETES / "components").iterdir())
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())
# What people make themselves.
OUTSIDE = {"stepcast-cost-profile", "stepcast-models", "stepcast-tls"}
CLOSING_SECONDS = 15  # docs/operations.md: how long ports may take to close


def renderings():
    """{name: objects} of the base, every component on it, and every overlay."""
    makers = {"base": lambda: manifests.kustomize(KUBERNETES / "base"),
              "models-image and cost-profile": lambda: manifests.with_components("models-image", "cost-profile", "gpu")}
    for name in COMPONENTS:
        # A Gateway is for routes.
        needs = ["grpc-route"] if name == "tls" else []
        makers[f"base with {name}"] = lambda needs=needs, name=name: manifests.with_components(*needs, name)
    for name in OVERLAYS:
        makers[name] = lambda name=name: manifests.kustomize(KUBERNETES / "overlays" / name)
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        return dict(zip(makers, threads.map(lambda make: make(), makers.values())))


def for_each(check):
    """A test of one rendering, made one of all."""
    def test(self):
        for name, objects in self.made.items():
            with self.subTest(rendering=name):
                check(self, objects)
    return test


def cache_folder(objects):
    config = yaml.safe_load(manifests.config_of(objects))
    return str(pathlib.PurePath(config["scheduler"]["profile"]["cache_file"]).parent)


def selects(selector, labels):
    return selector.items() <= labels.items()


class RenderingsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.made = renderings()
        cls.flags = set(re.findall(r"^\s+(--\w+)", manifests.run(f"{BINARIES}/stepcast-server", "--help"), re.MULTILINE))

    @for_each
    def test_pods_are_restricted(self, objects):
        pod = pod_of(objects)
        self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
        self.assertTrue(pod["securityContext"]["runAsNonRoot"])
        self.assertFalse(pod["automountServiceAccountToken"])
        self.assertFalse({"hostNetwork", "hostPID", "hostIPC"} & set(pod))
        for volume in pod["volumes"]:
            self.assertTrue({"configMap", "emptyDir", "persistentVolumeClaim"} & set(volume), volume)
        for container in pod["containers"] + pod.get("initContainers", []):
            self.assertEqual(container["securityContext"], {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                            "capabilities": {"drop": ["ALL"]}})
            self.assertNotIn("hostPort", str(container.get("ports")))

    @for_each
    def test_grace_is_the_servers_own_drain(self, objects):
        drain = yaml.safe_load(manifests.config_of(objects))["drain"]
        expected = manifests.seconds(drain["linger"]) + manifests.seconds(drain["timeout"]) + CLOSING_SECONDS
        self.assertEqual(pod_of(objects)["terminationGracePeriodSeconds"], expected)
        # A hook would run before SIGTERM, while the server still says that it is ready.
        self.assertNotIn("lifecycle", pod_of(objects)["containers"][0])

    @for_each
    def test_probes_give_a_busy_node_time(self, objects):
        container = pod_of(objects)["containers"][0]
        admin = next(port["containerPort"] for port in container["ports"] if port["name"] == "admin")
        for probe, service in (("startupProbe", "readiness"), ("readinessProbe", "readiness"), ("livenessProbe", "liveness")):
            self.assertEqual(container[probe]["grpc"], {"port": admin, "service": service})
            self.assertGreaterEqual(container[probe]["timeoutSeconds"], 5)
            self.assertLessEqual(container[probe]["timeoutSeconds"], container[probe]["periodSeconds"])
        startup = container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"]
        self.assertGreaterEqual(startup, 1200)
        self.assertGreater(only(objects, "Deployment")["spec"]["progressDeadlineSeconds"], startup)

    @for_each
    def test_an_update_and_a_node_drain_take_one_replica_at_a_time(self, objects):
        deployment = only(objects, "Deployment")["spec"]
        self.assertEqual(deployment["strategy"]["rollingUpdate"], {"maxSurge": 0, "maxUnavailable": 1})
        budget = only(objects, "PodDisruptionBudget")["spec"]
        self.assertEqual(budget["maxUnavailable"], 1)
        self.assertTrue(selects(budget["selector"]["matchLabels"], deployment["template"]["metadata"]["labels"]))
        spread = pod_of(objects)["topologySpreadConstraints"]
        self.assertEqual([each["topologyKey"] for each in spread], ["topology.kubernetes.io/zone", "kubernetes.io/hostname"])
        for each in spread:
            self.assertTrue(selects(each["labelSelector"]["matchLabels"], deployment["template"]["metadata"]["labels"]))

    @for_each
    def test_what_is_named_is_there(self, objects):
        pod = pod_of(objects)
        names = {each["metadata"]["name"] for each in objects} | OUTSIDE
        volumes = {volume["name"] for volume in pod["volumes"]}
        mounted = set()
        for container in pod["containers"] + pod.get("initContainers", []):
            mounted |= {mount["name"] for mount in container["volumeMounts"]}
        self.assertEqual(volumes, mounted)
        for volume in pod["volumes"]:
            for source in ("configMap", "persistentVolumeClaim"):
                if source in volume:
                    self.assertIn(volume[source].get("name") or volume[source]["claimName"], names)
        self.assertIn(pod["serviceAccountName"], names)

    @for_each
    def test_services_reach_the_pods(self, objects):
        labels = only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
        ports = {port["name"]: port["containerPort"] for port in pod_of(objects)["containers"][0]["ports"]}
        for service in (each for each in objects if each["kind"] == "Service" and each["metadata"]["name"] != "stepcast-web"):
            self.assertTrue(selects(service["spec"]["selector"], labels))
            for port in service["spec"]["ports"]:
                self.assertEqual(ports[port["targetPort"]], port["port"])
                self.assertNotEqual(port["name"], "admin", "operators' services are not for callers")
        for policy in (each for each in objects if each["kind"] == "NetworkPolicy"):
            self.assertTrue(selects(policy["spec"]["podSelector"]["matchLabels"], labels))
            open_ports = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
            self.assertEqual(open_ports, {ports["grpc"], ports["metrics"]})
            self.assertEqual(policy["spec"]["egress"], [])

    @for_each
    def test_routes_monitors_and_scalers_find_their_targets(self, objects):
        services = {each["metadata"]["name"]: each for each in objects if each["kind"] == "Service"}
        for each in objects:
            if each["kind"] == "GRPCRoute":
                for backend in each["spec"]["rules"][0]["backendRefs"]:
                    self.assertEqual(services[backend["name"]]["spec"]["ports"][0]["port"], backend["port"])
                routed = {match["method"]["service"] for match in each["spec"]["rules"][0]["matches"]}
                self.assertEqual(routed, {"stepcast.v1.ImageGenerationService", "grpc.health.v1.Health"})
            if each["kind"] == "ServiceMonitor":
                scraped = [name for name, service in services.items() for port in service["spec"]["ports"]
                           if port["name"] == each["spec"]["endpoints"][0]["port"]
                           and selects(each["spec"]["selector"]["matchLabels"], service["metadata"]["labels"])]
                self.assertEqual(scraped, ["stepcast"], "every pod is scraped once")
            if each["kind"] == "ScaledObject":
                only(objects, "Deployment", each["spec"]["scaleTargetRef"]["name"])
                self.assertNotIn("replicas", only(objects, "Deployment")["spec"], "applying it would undo the scaling")
                self.assertIn("stepcast:pictures:sum", each["spec"]["triggers"][0]["metadata"]["query"])
            if each["kind"] == "Gateway":
                self.assertEqual(only(objects, "GRPCRoute")["spec"]["parentRefs"], [{"name": each["metadata"]["name"]}])

    @for_each
    def test_resources_are_bounded(self, objects):
        for container in pod_of(objects)["containers"] + pod_of(objects).get("initContainers", []):
            self.assertIn("memory", container["resources"]["limits"])
            self.assertIn("cpu", container["resources"]["requests"])
            for resource, amount in container["resources"]["limits"].items():
                if "/" in resource:
                    self.assertEqual(container["resources"]["requests"][resource], amount)
        wants_gpu = "nvidia.com/gpu" in pod_of(objects)["containers"][0]["resources"]["limits"]
        self.assertEqual(wants_gpu, "--device=cuda" in pod_of(objects)["containers"][0]["args"])

    @for_each
    def test_all_of_a_pods_containers_are_of_one_build(self, objects):
        images = {container["image"] for container in pod_of(objects)["containers"] + pod_of(objects).get("initContainers", [])}
        self.assertEqual(len({image for image in images if image.startswith("stepcast:")}), 1)

    @for_each
    def test_the_server_knows_the_flags(self, objects):
        container = pod_of(objects)["containers"][0]
        self.assertLessEqual({word.split("=")[0] for word in container["args"] if word.startswith("--")}, self.flags)
        folder = cache_folder(objects)
        (mount,) = [each for each in container["volumeMounts"] if each["mountPath"] == folder]
        self.assertFalse(mount.get("readOnly"))

    def test_the_gateway_reaches_the_server_and_is_reached(self):
        objects = manifests.with_components("gateway", "callers")
        deployment, service = only(objects, "Deployment", "stepcast-web")["spec"], only(objects, "Service", "stepcast-web")["spec"]
        labels, pod = deployment["template"]["metadata"]["labels"], deployment["template"]["spec"]
        (container,) = pod["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        self.assertTrue(selects(deployment["selector"]["matchLabels"], labels))
        self.assertTrue(selects(service["selector"], labels))
        self.assertEqual([ports[port["targetPort"]] for port in service["ports"]], [8080])
        self.assertFalse(selects(only(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"], labels), "it is no replica")
        callers = only(objects, "NetworkPolicy")["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
        self.assertTrue(selects(callers, labels))
        server = pod_of(objects)
        self.assertEqual((pod["securityContext"], container["securityContext"]),
                         (server["securityContext"], server["containers"][0]["securityContext"]))
        # What it is told are keys that it knows, and what its image says of itself.
        known = (ROOT / "clients" / "gateway" / "src" / "config.ts").read_text()
        told = {each["name"]: each["value"] for each in container["env"]}
        self.assertEqual(told, {"STEPCAST_GATEWAY_LISTEN_HOST": "0.0.0.0", "STEPCAST_GATEWAY_SERVER": "dns:///stepcast:50051"})
        self.assertRegex(known, r"(?s)listen: section\(\{\s+host:.*\n  server:")
        routes = (ROOT / "clients" / "gateway" / "README.md").read_text()
        for probe in ("readinessProbe", "livenessProbe"):
            self.assertIn(container[probe]["httpGet"]["path"], routes)
        self.assertRegex((ROOT / "Dockerfile").read_text(), r"(?s)AS gateway\n.*EXPOSE 8080")

    def test_the_server_takes_the_configuration(self):
        # Where the image has its folders, this machine has others.
        with tempfile.TemporaryDirectory() as here:
            path = pathlib.Path(here) / "config.yaml"
            config = manifests.config_of(self.made["base"]).replace(cache_folder(self.made["base"]), here)
            path.write_text(config.replace("/opt/stepcast/share/stepcast", str(ROOT)))
            manifests.run(f"{BINARIES}/stepcast-server", "--config", path, "--check_config")

    def test_the_image_has_the_folders_that_are_mounted(self):
        dockerfile = (ROOT / "Dockerfile").read_text()
        self.assertIn("/var/cache/stepcast", dockerfile)
        self.assertEqual((KUBERNETES / "base" / "config.yaml").read_text(), (ROOT / "deploy" / "config.container.yaml").read_text())

    def test_components_and_overlays_are_documented(self):
        page = (ROOT / "docs" / "kubernetes.md").read_text()
        for name in COMPONENTS + OVERLAYS:
            self.assertIn(f"`{name}`", page)

    def test_schemas(self):
        if TOOLS is None:
            self.skipTest("no kubeconform: ./dev test k8s")
        for name, objects in self.made.items():
            check_schemas(self, name, objects)


def check_schemas(test, name, objects):
    done = subprocess.run([f"{TOOLS}/bin/kubeconform", "-strict", "-schema-location",
                           f"{TOOLS}/schemas/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json", "-"],
                          input=yaml.safe_dump_all(objects), text=True, capture_output=True, check=False)
    test.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""), name)


class ChartTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if TOOLS is None:
            raise unittest.SkipTest("no helm: ./dev test k8s")
        cls.helm = f"{TOOLS}/bin/helm"

    def test_it_renders_what_the_overlays_render(self):
        for values, overlay in [(None, KUBERNETES / "base")] + [(name, KUBERNETES / "overlays" / name) for name in OVERLAYS]:
            with self.subTest(values=values):
                expected = manifests.comparable(manifests.kustomize(overlay))
                # Rules and dashboards are too long for a chart: apply deploy/observability beside it.
                expected = {key: each for key, each in expected.items() if key[0] != "PrometheusRule" and key[1] != "stepcast-dashboards"}
                made = manifests.comparable(manifests.helm(self.helm, values))
                self.assertEqual(sorted(made), sorted(expected))
                for key, each in expected.items():
                    self.assertEqual(made[key], each, key)

    def test_it_renders_the_gateway_as_the_component(self):
        made = manifests.comparable(manifests.helm(self.helm, None, "--set", "gateway.enabled=true"))
        expected = manifests.comparable(manifests.with_components("gateway"))
        self.assertEqual(sorted(made), sorted(expected))
        for key, each in expected.items():
            self.assertEqual(made[key], each, key)

    def test_lint_and_schemas(self):
        for values in [None, *OVERLAYS]:
            files = ["--values", manifests.CHART.parent / "values" / f"{values}.yaml"] if values else []
            manifests.run(self.helm, "lint", "--strict", manifests.CHART, *files)
            check_schemas(self, values, manifests.helm(self.helm, values))

    def test_the_grace_period_follows_the_drain(self):
        made = manifests.helm(self.helm, None, "--set", "drain.timeout=600")
        self.assertEqual(pod_of(made)["terminationGracePeriodSeconds"], 5 + 600 + CLOSING_SECONDS)
        self.assertEqual(yaml.safe_load(manifests.config_of(made))["drain"], {"linger": "5s", "timeout": "600s"})

    def test_a_change_of_the_configuration_replaces_pods(self):
        def checksum(*flags):
            made = manifests.helm(self.helm, None, *flags)
            return only(made, "Deployment")["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        self.assertNotEqual(checksum(), checksum("--set", "config.max_rows=8"))

    def test_wrong_values_are_refused_by_name(self):
        for flag, word in (("replicaz=2", "replicaz"), ("replicas=two", "replicas"), ("drain.timeout=-1", "timeout"),
                           ("config.drain.timeout=1m", "config"), ("extraArgs[0]=device", "extraArgs"),
                           ("autoscaling.prometheus=nowhere", "prometheus")):
            with self.subTest(flag=flag), self.assertRaisesRegex(AssertionError, word):
                manifests.helm(self.helm, None, "--set", flag)


if __name__ == "__main__":
    if shutil.which("kubectl") is None:
        print("skipped: needs kubectl")
        sys.exit(77)
    BINARIES = sys.argv.pop(1)
    TOOLS = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else None
    unittest.main()
