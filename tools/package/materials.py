"""What a release is made of, from the metadata of the packages themselves: a CycloneDX bill of materials and the licences' texts."""
import dataclasses
import email
import json
import pathlib
import re
import subprocess

# Debian packages whose code is compiled into the programs: headers that are all there is, and what the launcher links statically.
COMPILED_IN = ["libcli11-dev", "nlohmann-json3-dev", "libc6-dev", "libstdc++-12-dev"]
# Names that Debian's copyright files use.
SPDX = {
    "Expat": "MIT", "MIT": "MIT", "Apache-2": "Apache-2.0", "Apache-2.0": "Apache-2.0", "BSD-2-clause": "BSD-2-Clause",
    "BSD-3-clause": "BSD-3-Clause", "BSD-3-Clause": "BSD-3-Clause", "GPL-3+": "GPL-3.0-or-later", "LGPL-2.1+": "LGPL-2.1-or-later",
    "Zlib": "Zlib", "zlib": "Zlib", "CC-BY-SA-3.0": "CC-BY-SA-3.0"}


@dataclasses.dataclass
class Component:
    name: str
    version: str
    purl: str
    licences: list  # as the package's metadata says
    texts: list     # files with their texts
    how: str        # shipped, compiled in, required


def wheels(site, installed):
    """Python packages of which at least one library was installed."""
    files = {path.name for path in (installed / "lib").iterdir()}
    made = []
    for info in sorted(site.glob("*.dist-info")):
        record = [line.split(",")[0] for line in (info / "RECORD").read_text().splitlines()]
        if not files & {pathlib.PurePosixPath(path).name for path in record}:
            continue
        told = email.message_from_string((info / "METADATA").read_text())
        licence = told["License-Expression"] or told["License"] or "NOASSERTION"
        texts = sorted((info / "licenses").glob("*"))
        assert texts, f"{info.name} has no text of its licence"
        made.append(Component(told["Name"], told["Version"], f"pkg:pypi/{told['Name'].lower()}@{told['Version']}", [licence], texts, "shipped"))
    return made


def installed_packages():
    """{name, also virtual: installed package of Debian}."""
    told = subprocess.run(["dpkg-query", "-W", "-f", "${Package}|${Provides}\n"], check=True, text=True, capture_output=True).stdout
    found = {}
    for line in told.splitlines():
        package, _, provided = line.partition("|")
        found[package] = package
        for name in filter(None, provided.split(", ")):
            found.setdefault(name.split(" ")[0], package)
    return found


def debian(package, how):
    version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], check=True, text=True, capture_output=True).stdout
    copyright_file = pathlib.Path("/usr/share/doc") / package / "copyright"
    named = re.findall(r"^License: *(\S.*)$", copyright_file.read_text(errors="replace"), re.MULTILINE)
    licences = sorted({name.strip() for name in named}) or ["see its copyright file"]
    purl = f"pkg:deb/debian/{package}@{version.replace('+', '%2B').replace(':', '%3A')}?distro=debian-12"
    return Component(package, version, purl, licences, [copyright_file], how)


def own(root):
    """What lies in the source tree and is not ours, or has words of its own."""
    contracts = [Component(name, "vendored", f"pkg:generic/{name}", ["Apache-2.0"], [root / "LICENSE"], "compiled in")
                 for name in ("googleapis-rpc", "grpc-proto")]
    vocabulary = Component("openai-clip-bpe-vocabulary", "1", "pkg:github/openai/CLIP", ["MIT"], [root / "text/clip_vocabulary/LICENSE"],
                           "compiled in")
    models = [model(notice.parent) for notice in sorted((root / "models").glob("*/NOTICE"))]
    return [*contracts, vocabulary, *models]


def model(folder):
    card = folder / "model.json"
    licence = json.loads(card.read_text()).get("license") if card.exists() else None
    if licence is None:
        assert "Apache License" in (folder / "LICENSE").read_text()[:200], f"{folder} does not say its licence"
        licence = "Apache-2.0"
    name = f"stepcast-model-{folder.name}"
    return Component(name, "1", f"pkg:generic/{name}", [licence], [folder / "NOTICE"], "shipped")


def collect(root, site, installed, required):
    names = installed_packages()
    return [*wheels(site, installed), *(debian(name, "compiled in") for name in COMPILED_IN), *own(root),
            *(debian(name, "required") for name in sorted({names[name] for name in required}))]


def cyclonedx(version, revision, components, time):
    """CycloneDX 1.5. Equal inputs make equal bytes."""
    def licence(name):
        spdx = SPDX.get(name, name)
        plain = re.fullmatch(r"LicenseRef-\S+", spdx) or spdx not in SPDX.values()
        return {"license": {"name": name} if plain else {"id": spdx}}
    return json.dumps({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {"timestamp": time, "component": {
            "type": "application", "bom-ref": "stepcast", "name": "stepcast", "version": version, "licenses": [{"license": {"id": "Apache-2.0"}}],
            "properties": [{"name": "stepcast:revision", "value": revision}]}},
        "components": [{
            "type": "machine-learning-model" if each.name.startswith("stepcast-model") else "library", "bom-ref": each.purl, "name": each.name,
            "version": each.version, "purl": each.purl, "licenses": [licence(name) for name in each.licences],
            "properties": [{"name": "stepcast:how", "value": each.how}]} for each in components],
        "dependencies": [{"ref": "stepcast", "dependsOn": [each.purl for each in components]}]}, indent=1) + "\n"


def licence_list(components):
    """A table of all, then the texts of what is inside the packages; the rest comes with its own Debian packages."""
    lines = ["What Stepcast's packages hold besides its own code (Apache-2.0), and what they need.", ""]
    width = max(len(f"{each.name} {each.version}") for each in components)
    for each in components:
        lines.append(f"{each.name + ' ' + each.version:{width}}  {each.how:11}  {', '.join(each.licences)}")
    for each in components:
        if each.how == "required" or each.texts[0].name == "LICENSE" and each.name in ("googleapis-rpc", "grpc-proto"):
            continue
        for text in each.texts:
            lines += ["", "=" * 100, f"{each.name} {each.version}: {text.name}", "=" * 100, text.read_text(errors="replace").rstrip()]
    return "\n".join(lines) + "\n"
