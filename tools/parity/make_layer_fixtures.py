#!/usr/bin/env python3
"""Writes tests/model/fixtures: what diffusers and transformers compute for small networks with seeded weights.

    python tools/parity/make_layer_fixtures.py [layers] [control]

Networks of one model lie in that folder itself, ControlNets in control/ below it.

A fixture holds no weights and no inputs. It holds the draws that made them, in order, from torch's CPU generator:
the test repeats the draws with LibTorch's generator, which is the same one. So networks of any size cost nothing in
git, and the slices that diffusers publishes in its own tests (which start from torch.manual_seed(0) and the default
initialisation) come out of ours as well.

  cases.json            per case: `kind`, `config`, `draws` ([op, name, shape, ...] in order), `published` (nine
                        numbers of output[0, -1, -3:, -3:], from diffusers' tests) and `output_shape`
  expected.safetensors  per case: its output, float32; of large ones every STRIDE-th value of the flattened tensor

Needs torch, diffusers and transformers (tools/train/requirements.txt); deterministic.
"""
from __future__ import annotations

import argparse
import json
import math
import pathlib

import diffusers
import torch
import transformers
from safetensors.torch import save_file
from torch import nn

import control_cases
import layer_cases

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "tests/model/fixtures"
KEPT_VALUES = 4096  # of one output


class Draws:
    """Everything that is drawn from the seeded generator, in order."""

    def __init__(self) -> None:
        self.steps: list[list] = []

    def seed(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.steps.append(["seed", seed])

    def randn(self, name: str, *shape: int) -> torch.Tensor:
        self.steps.append(["randn", f"input.{name}", list(shape)])
        return torch.randn(*shape)

    def default_init(self, build) -> nn.Module:
        """Builds a module and records torch's default initialisation, whose order is that of construction."""
        drawn: list[tuple[torch.Tensor, float]] = []
        uniform = nn.init.uniform_
        kaiming = nn.init.kaiming_uniform_

        def record_kaiming(tensor, a=0, **kwargs):
            assert a == math.sqrt(5)
            drawn.append((tensor, 1 / math.sqrt(tensor[0].numel())))
            return kaiming(tensor, a=a, **kwargs)

        def record_uniform(tensor, low=0.0, high=1.0, **kwargs):
            assert low == -high
            drawn.append((tensor, high))
            return uniform(tensor, low, high, **kwargs)

        nn.init.uniform_, nn.init.kaiming_uniform_ = record_uniform, record_kaiming
        try:
            module = build().eval()
        finally:
            nn.init.uniform_, nn.init.kaiming_uniform_ = uniform, kaiming
        names = {id(parameter): name for name, parameter in module.named_parameters()}
        seen = set()
        for tensor, bound in drawn:
            name = names[id(tensor)]
            seen.add(name)
            self.steps.append(["uniform", name, list(tensor.shape), -bound, bound])
        for name, parameter in module.named_parameters():
            if name not in seen:
                value = parameter.flatten()[0].item()
                assert bool((parameter == value).all()), f"{name} was neither drawn nor constant"
                self.steps.append(["fill", name, list(parameter.shape), value])
        return module

    def own_init(self, module: nn.Module, seed: int) -> nn.Module:
        """Draws every parameter anew, in the order of names: norms near 1, the rest as the default would."""
        module = module.eval()
        self.seed(seed)
        for name, parameter in sorted(module.named_parameters()):
            is_norm = "norm" in name and parameter.dim() == 1
            bound = 0.1 if parameter.dim() == 1 else 1 / math.sqrt(parameter[0].numel())
            centre = 1.0 if is_norm and name.endswith("weight") else 0.0
            with torch.no_grad():
                parameter.uniform_(centre - bound, centre + bound)
            self.steps.append(["uniform", name, list(parameter.shape), centre - bound, centre + bound])
        return module


def config_of(module: nn.Module) -> dict:
    """The config as the library would save it."""
    if isinstance(module, transformers.PreTrainedModel):
        return json.loads(module.config.to_json_string(use_diff=False))
    return json.loads(module.to_json_string())


def write(folder: pathlib.Path, listed: list) -> None:
    """Runs the cases of one set and writes its two files."""
    folder.mkdir(parents=True, exist_ok=True)
    cases, expected = [], {}
    for case in listed:
        draws = Draws()
        with torch.no_grad():
            output, config = case.run(draws, config_of)
        values = output.float().contiguous().flatten()
        stride = max(1, values.numel() // KEPT_VALUES)
        expected[case.name] = values[::stride].clone()
        entry = {"name": case.name, "kind": case.kind, "config": config, "draws": draws.steps,
                 "output_shape": list(output.shape), "stride": stride}
        if case.published:
            ours = output[0, -1, -3:, -3:].flatten()
            worst = (ours - torch.tensor(case.published)).abs().max().item()
            assert worst < 1e-3, f"{case.name}: diffusers itself is {worst} from its published slice"
            entry["published"] = case.published
        cases.append(entry)
        print(f"{case.name}: {list(output.shape)}, {sum(1 for step in draws.steps if step[0] != 'seed')} tensors")
    provenance = {"torch": torch.__version__.split("+")[0], "diffusers": diffusers.__version__,
                  "transformers": transformers.__version__, "script": "tools/parity/make_layer_fixtures.py"}
    lines = json.dumps(cases, separators=(",", ":")).replace('{"name"', '\n{"name"')
    text = json.dumps({"provenance": provenance})[:-1] + ',"cases":' + lines + "}\n"
    (folder / "cases.json").write_text(text, encoding="utf-8")
    save_file(expected, folder / "expected.safetensors")


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    sets = {"layers": (FIXTURES, layer_cases.all_cases), "control": (FIXTURES / "control", control_cases.all_cases)}
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", choices=[*sets, []], help="default: all")
    for name in parser.parse_args().sets or sets:
        folder, listed = sets[name]
        write(folder, listed())


if __name__ == "__main__":
    main()
