#!/usr/bin/env python3
"""JSON schemas that kubeconform reads without a network, from packages that have them.

    make_schemas.py <folder of Kubernetes' schemas> <output folder> <CustomResourceDefinition file>...

Kubernetes' come from the PyPI package kubernetes-validate, whose references kubeconform cannot follow: what a kind refers to is
copied into its file. Custom resources come from the definitions in their projects' Go modules, made as strict.
"""
import json
import pathlib
import sys

import yaml

KINDS = ["configmap-v1", "deployment-apps-v1", "networkpolicy-networking-v1", "poddisruptionbudget-policy-v1", "service-v1",
         "serviceaccount-v1"]


def references(schema):
    """The names of definitions below `schema`; its references are turned into local ones."""
    found = set()
    if isinstance(schema, dict):
        target = schema.get("$ref", "")
        if isinstance(target, str) and "#/$defs/" in target:
            name = target.rsplit("/", 1)[1]
            schema["$ref"] = f"#/$defs/{name}"
            found.add(name)
        for value in schema.values():
            found |= references(value)
    elif isinstance(schema, list):
        for value in schema:
            found |= references(value)
    return found


def self_contained(schema, definitions):
    wanted, have = references(schema), {}
    while wanted - set(have):
        name = (wanted - set(have)).pop()
        have[name] = definitions[name]
        wanted |= references(have[name])
    return schema | {"$defs": have}


def strict(schema):
    """A custom resource's schema where fields that it does not list are refused, as Kubernetes' own are."""
    if isinstance(schema, dict):
        if "properties" in schema and "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema["additionalProperties"] = False
        for value in schema.values():
            strict(value)
    elif isinstance(schema, list):
        for value in schema:
            strict(value)
    return schema


def main():
    source, output, crds = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
    output.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        definitions = json.loads((source / "_definitions.json").read_text())["$defs"]
        made = self_contained(json.loads((source / f"{kind}.json").read_text()), definitions)
        (output / f"{kind}.json").write_text(json.dumps(made))
    for path in crds:
        for crd in yaml.safe_load_all(pathlib.Path(path).read_text()):
            spec = crd["spec"]
            for version in spec["versions"]:
                made = version["schema"]["openAPIV3Schema"]
                # Any metadata: the API server checks it.
                made.setdefault("properties", {}).update({"apiVersion": {"type": "string"}, "kind": {"type": "string"},
                                                          "metadata": {"type": "object"}})
                name = f"{spec['names']['kind'].lower()}-{spec['group'].split('.')[0]}-{version['name']}.json"
                made = strict(made)
                made["properties"]["metadata"] = {"type": "object"}
                (output / name).write_text(json.dumps(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
