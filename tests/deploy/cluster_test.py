#!/usr/bin/env python3
"""Manifests and chart on a real control plane: what the API server admits, what its controllers and scheduler make of it.

    cluster_test.py <folder of kube-apiserver, kube-controller-manager, kube-scheduler> <folder with helm> <custom resource definition>...

No container runs: images and probes are not tried. `./dev test k8s cluster` brings the programs, which it compiles.
"""
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.error

import yaml

import manifests
from control_plane import ControlPlane
from manifests import CHART, KUBERNETES

OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())
OUTSIDE = """
apiVersion: v1
kind: PersistentVolume
metadata: {{name: models-{name}}}
spec:
  capacity: {{storage: 1Gi}}
  accessModes: [ReadOnlyMany]
  storageClassName: ""
  claimRef: {{namespace: {name}, name: stepcast-models}}
  hostPath: {{path: /models}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: stepcast-models, namespace: {name}}}
spec: {{accessModes: [ReadOnlyMany], storageClassName: "", volumeName: models-{name}, resources: {{requests: {{storage: 1Gi}}}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: stepcast-cost-profile, namespace: {name}}}
data: {{costs: ""}}
"""


class ClusterTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.plane = ControlPlane(PROGRAMS, folder.name)
        cls.addClassCleanup(cls.plane.stop)
        for zone in "ab":
            cls.plane.add_node(f"gpu-{zone}", zone, **{"nvidia.com/gpu": "1"})
            cls.plane.add_node(f"cpu-{zone}", zone)
        for path in DEFINITIONS:
            cls.plane.kubectl("apply", "--server-side", "-f", path)
        cls.plane.kubectl("wait", "--for=condition=Established", "--timeout=120s", "crd", "--all")

    def namespace(self, name):
        """One where only pods of the restricted profile may be."""
        labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
        self.plane.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
        self.addCleanup(self.plane.kubectl, "delete", "namespace", name, "--wait=true", "--timeout=120s")
        path = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        self.plane.wait(lambda: self.plane.ask("GET", path), "the namespace's account")
        return name

    def pods(self, name, phase=None):
        found = self.plane.ask("GET", f"/api/v1/namespaces/{name}/pods")["items"]
        return [pod for pod in found if phase in (None, pod["status"]["phase"]) and "deletionTimestamp" not in pod["metadata"]]

    def rolled_out(self, name):
        self.plane.kubectl("rollout", "status", "deployment/stepcast", "-n", name, "--timeout=120s")

    def apply(self, name, objects):
        # Strict: a field that the API server does not know is an error.
        told = self.plane.kubectl("apply", "-n", name, "--validate=strict", "-f", "-", text=yaml.safe_dump_all(objects))
        self.assertEqual(told.count("\n"), len(objects), told)

    def test_the_base_and_every_overlay_run(self):
        for overlay in ["base", *OVERLAYS]:
            with self.subTest(overlay=overlay):
                name = self.namespace(overlay)
                self.plane.kubectl("apply", "-f", "-", text=OUTSIDE.format(name=name))
                self.addCleanup(self.plane.kubectl, "delete", "persistentvolume", f"models-{name}", "--wait=false")
                objects = manifests.kustomize(KUBERNETES / ("base" if overlay == "base" else f"overlays/{overlay}"))
                self.apply(name, objects)
                self.rolled_out(name)
                # The same again replaces no pod.
                path = f"/apis/apps/v1/namespaces/{name}/deployments/stepcast"
                generation = self.plane.ask("GET", path)["metadata"]["generation"]
                self.apply(name, objects)
                self.assertEqual(self.plane.ask("GET", path)["metadata"]["generation"], generation)
                self.plane.kubectl("delete", "deployment", "stepcast", "-n", name, "--wait=true")
                self.plane.wait(lambda name=name: not self.pods(name), "its pods are gone")

    def test_there_are_as_many_replicas_as_gpus(self):
        name = self.namespace("gpus")
        self.apply(name, manifests.kustomize(KUBERNETES / "overlays" / "gpu"))
        self.plane.kubectl("scale", "deployment/stepcast", "-n", name, "--replicas=3")
        self.plane.wait(lambda: len(self.pods(name, "Running")) == 2 and len(self.pods(name, "Pending")) == 1, "two of three run")
        self.assertEqual({pod["spec"]["nodeName"] for pod in self.pods(name, "Running")}, {"gpu-a", "gpu-b"})
        (waiting,) = self.pods(name, "Pending")
        self.plane.wait(lambda: "nvidia.com/gpu" in str(self.pods(name, "Pending")[0]["status"].get("conditions")), "it says for what it waits")
        # Without a surge an update needs no third GPU.
        self.plane.kubectl("scale", "deployment/stepcast", "-n", name, "--replicas=2")
        self.plane.kubectl("set", "env", "deployment/stepcast", "-n", name, "UPDATED=1")
        self.rolled_out(name)

    def test_an_update_and_evictions_take_one_at_a_time(self):
        name = self.namespace("updates")
        objects = manifests.kustomize(KUBERNETES / "base")
        manifests.only(objects, "Deployment")["spec"]["replicas"] = 3
        self.apply(name, objects)
        self.rolled_out(name)
        path = f"/apis/apps/v1/namespaces/{name}/deployments/stepcast"
        seen, over = [], threading.Event()

        def watch():
            while not over.is_set():
                seen.append(self.plane.ask("GET", path)["status"].get("availableReplicas", 0))
        watching = threading.Thread(target=watch)
        watching.start()
        self.plane.kubectl("set", "env", "deployment/stepcast", "-n", name, "UPDATED=1")
        self.rolled_out(name)
        over.set()
        watching.join()
        self.assertGreaterEqual(min(seen), 2, seen)
        budget = f"/apis/policy/v1/namespaces/{name}/poddisruptionbudgets/stepcast"
        self.plane.wait(lambda: self.plane.ask("GET", budget)["status"].get("disruptionsAllowed") == 1, "the budget allows one")
        # Both at once: whoever comes second is refused, as a second node that is drained would be.
        answers = [self.evict(name, pod) for pod in self.pods(name)[:2]]
        self.assertEqual(answers, [201, 429])
        self.plane.wait(lambda: len(self.pods(name, "Running")) == 3, "three run again")

    def evict(self, name, pod):
        path = f"/api/v1/namespaces/{name}/pods/{pod['metadata']['name']}/eviction"
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod["metadata"]["name"], "namespace": name}}
        try:
            self.plane.ask("POST", path, body)
        except urllib.error.HTTPError as error:
            return error.code
        return 201

    def test_the_chart_installs_upgrades_and_rolls_back(self):
        name = self.namespace("chart")

        def helm(*words):
            done = subprocess.run([HELM, *words, "--namespace", name, "--kubeconfig", self.plane.kubeconfig], text=True, capture_output=True,
                                  check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            return done.stdout

        def environment():
            return self.plane.ask("GET", f"/apis/apps/v1/namespaces/{name}/deployments/stepcast")["spec"]["template"]["metadata"]["annotations"]
        helm("install", "stepcast", CHART, "--wait", "--timeout", "120s")
        first = environment()
        helm("upgrade", "stepcast", CHART, "--wait", "--timeout", "120s", "--set", "config.max_rows=8,replicas=2")
        self.assertNotEqual(environment()["checksum/config"], first["checksum/config"])
        self.assertEqual(len(self.pods(name, "Running")), 2)
        helm("rollback", "stepcast", "1", "--wait", "--timeout", "120s")
        self.assertEqual(environment()["checksum/config"], first["checksum/config"])
        helm("uninstall", "stepcast", "--wait", "--timeout", "120s")

    def test_what_breaks_the_rules_is_refused(self):
        name = self.namespace("refusals")
        objects = manifests.kustomize(KUBERNETES / "base")
        pod = manifests.pod_of(objects)
        pod["containers"][0]["replicaz"] = 1
        with self.assertRaisesRegex(AssertionError, "replicaz"):
            self.apply(name, objects)


if __name__ == "__main__":
    PROGRAMS, HELM = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve() / "helm"
    DEFINITIONS = [word for word in sys.argv[3:] if word.endswith(".yaml")]
    sys.argv[1:] = [word for word in sys.argv[3:] if not word.endswith(".yaml")]
    unittest.main()
