"""Rendering of deploy/kubernetes and deploy/helm, and what both have in common."""
import copy
import os
import pathlib
import re
import subprocess
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KUBERNETES = ROOT / "deploy" / "kubernetes"
CHART = ROOT / "deploy" / "helm" / "stepcast"
HELMS_OWN = {"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"}


def run(*command):
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(str(word) for word in command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def kustomize(folder):
    return [each for each in yaml.safe_load_all(run("kubectl", "kustomize", folder)) if each]


def with_components(*components):
    """The base with components on it, as an overlay would have them."""
    with tempfile.TemporaryDirectory() as folder:
        def to(path):
            return os.path.relpath(path, os.path.realpath(folder))
        (pathlib.Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump({
            "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": [to(KUBERNETES / "base")],
            "components": [to(KUBERNETES / "components" / name) for name in components]}))
        return kustomize(folder)


def helm(helm_program, values=None, *flags):
    files = ["--values", CHART.parent / "values" / f"{values}.yaml"] if values else []
    text = run(helm_program, "template", "stepcast", CHART, "--skip-tests", *files, *flags)
    return [each for each in yaml.safe_load_all(text) if each]


def only(objects, kind, name="stepcast"):
    found = [each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} objects {kind} {name}"
    return found[0]


def pod_of(objects):
    return only(objects, "Deployment")["spec"]["template"]["spec"]


def config_of(objects):
    """The server's configuration, as text."""
    (volume,) = [each for each in pod_of(objects)["volumes"] if each["name"] == "config"]
    return only(objects, "ConfigMap", volume["configMap"]["name"])["data"]["config.yaml"]


def seconds(duration):
    """Of the configuration's durations, as 1m30s."""
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|[smh])", str(duration)))


def comparable(objects):
    """{(kind, name): object} without what Kustomize and Helm each add by themselves."""
    return {(each["kind"], plain_name(each["metadata"]["name"])): plain(copy.deepcopy(each)) for each in objects}


def plain_name(name):
    return re.sub(r"^(stepcast-config)-[0-9a-z]{10}$", r"\1", name)


def plain(value):
    if isinstance(value, list):
        made = [plain(each) for each in value]
        # Kubernetes finds these by name, in any order.
        if made and all(isinstance(each, dict) and ("mountPath" in each or "name" in each) for each in made):
            made.sort(key=lambda each: each.get("mountPath", each.get("name")))
        return made
    if not isinstance(value, dict):
        return plain_name(value) if isinstance(value, str) else value
    made = {key: plain(each) for key, each in value.items() if key not in HELMS_OWN and key != "checksum/config"}
    if made.get("annotations") == {}:
        del made["annotations"]
    if "config.yaml" in made:
        made["config.yaml"] = yaml.safe_load(made["config.yaml"])
        made["config.yaml"]["drain"] = {key: seconds(each) for key, each in made["config.yaml"]["drain"].items()}  # 2m is 120s
    return made
