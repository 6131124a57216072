#!/usr/bin/env python3
"""Debian packages, a release archive, a bill of materials and checksums from an installed tree.

    make_packages.py <installed> <site> <output> --version V --revision R [--level N]

<installed> is what `cmake --install --strip` made, <site> the folder of the Python packages that LibTorch came in. `./dev package` calls it.
"""
import argparse
import datetime
import gzip
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import command_line
import completions
import man_page
import materials

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SYSTEMD = ROOT / "deploy" / "systemd"
MAINTAINER = "Stepcast maintainers <maintainers@stepcast.dev>"
PROGRAMS = {"stepcast": ["stepcast", "stepcast-simulate"], "stepcast-server": ["stepcast-server"]}
ABOUT = {
    "stepcast": ("client of the Stepcast image generation server",
                 "Asks a server for pictures, shows them while they are painted, and what\n"
                 " the server does meanwhile; with completions, and the simulator of the\n scheduler, which tells how many devices a load needs."),
    "stepcast-server": ("step-level image generation server",
                        "Paints pictures with diffusion models over gRPC. Requests of any prompt,\n"
                        " number of steps and sampler share every forward pass. The service is\n called stepcast."),
}


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def compress(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(text.encode())


def install_programs(package, installed, tree):
    """Programs, completions and manual pages of a package."""
    for name in PROGRAMS[package]:
        program = tree / "usr" / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        if name == "stepcast-server":
            # Beside its libraries; the launcher finds the server where the link leads.
            private = tree / "usr" / "lib" / "stepcast"
            for folder in ("bin", "lib"):
                (private / folder).mkdir(parents=True)
            for file in ("stepcast-server", "stepcast-server-bin"):
                shutil.copy2(installed / "bin" / file, private / "bin" / file)
            shutil.copytree(installed / "lib", private / "lib", symlinks=True, dirs_exist_ok=True)
            program.symlink_to("../lib/stepcast/bin/stepcast-server")
        else:
            shutil.copy2(installed / "bin" / name, program)
        describe(command_line.ask(installed / "bin" / name, name), tree / "usr" / "share")


def describe(top, share):
    """Completions and the manual page of one program."""
    write(share / "bash-completion" / "completions" / top.name, completions.bash(top))
    write(share / "zsh" / "vendor-completions" / f"_{top.name}", completions.zsh(top))
    write(share / "fish" / "vendor_completions.d" / f"{top.name}.fish", completions.fish(top))
    compress(share / "man" / "man1" / f"{top.name}.1.gz", man_page.page(top, OPTIONS.version))


def install_service(installed, tree):
    write(tree / "etc" / "stepcast" / "config.yaml", (SYSTEMD / "config.yaml").read_text())
    write(tree / "lib" / "systemd" / "system" / "stepcast.service", (SYSTEMD / "stepcast.service").read_text())
    models = tree / "usr" / "share" / "stepcast" / "models"
    shutil.copytree(installed / "share" / "stepcast" / "models", models)
    write(tree / "usr" / "share" / "doc" / "stepcast-server" / "config.example.yaml", (ROOT / "deploy" / "config.example.yaml").read_text())
    for path in models.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    # In the texts of licences, which every package has.
    for path in models.rglob("LICENSE"):
        path.unlink()
    for path in tree.rglob("*.so*"):
        path.chmod(0o644)


def install_documents(package, tree, texts):
    folder = tree / "usr" / "share" / "doc" / package
    write(folder / "copyright",
          "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: stepcast\n\n"
          "Files: *\nCopyright: 2026 Stepcast contributors\nLicense: Apache-2.0\n On Debian systems the text of this licence is in\n"
          " /usr/share/common-licenses/Apache-2.0. What else is in this package, and under which\n"
          " licence: third-party-licenses.txt.gz in this folder.\n")
    compress(folder / "third-party-licenses.txt.gz", texts)
    compress(folder / "changelog.gz", f"stepcast ({OPTIONS.version}) stable; urgency=medium\n\n  * See CHANGELOG.md of the source.\n\n"
             f" -- {MAINTAINER}  {TIME.strftime('%a, %d %b %Y %H:%M:%S +0000')}\n")
    overrides = SYSTEMD / f"{package}.lintian-overrides"
    if overrides.exists():
        write(tree / "usr" / "share" / "lintian" / "overrides" / package, overrides.read_text())


def shared_libraries(tree):
    """Depends of a package's programs, with the versions that Debian's symbols files name."""
    programs = [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink() and path.open("rb").read(4) == b"\x7fELF"]
    with tempfile.TemporaryDirectory() as folder:
        write(pathlib.Path(folder) / "debian" / "control", "Source: stepcast\n\nPackage: stepcast\nArchitecture: any\n")
        told = subprocess.run(["dpkg-shlibdeps", "-O", "--warnings=0", "--ignore-missing-info", f"-l{tree}/usr/lib/stepcast/lib",
                               *(f"-e{path}" for path in programs)], cwd=folder, check=True, text=True, capture_output=True).stdout
    found = told.strip().removeprefix("shlibs:Depends=").split(", ")
    return [each for each in found if each]


def finish(package, tree, output):
    """Control files, checksums, the .deb."""
    depends = shared_libraries(tree)
    if package == "stepcast-server":
        depends.append(f"stepcast (= {OPTIONS.version})")
        for script in ("postinst", "prerm", "postrm"):
            write(tree / "DEBIAN" / script, (SYSTEMD / script).read_text(), 0o755)
        write(tree / "DEBIAN" / "conffiles", "/etc/stepcast/config.yaml\n")
    files = [path for path in sorted(tree.rglob("*")) if path.is_file() and not path.is_symlink() and "DEBIAN" not in path.parts]
    write(tree / "DEBIAN" / "md5sums", "".join(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n" for path in files))
    short, long = ABOUT[package]
    write(tree / "DEBIAN" / "control",
          f"Package: {package}\nSource: stepcast\nVersion: {OPTIONS.version}\nArchitecture: amd64\nMaintainer: {MAINTAINER}\n"
          f"Installed-Size: {sum(path.stat().st_size for path in files) // 1024}\nDepends: {', '.join(depends)}\nSection: graphics\n"
          f"Priority: optional\nHomepage: https://stepcast.dev\nDescription: {short}\n {long}\n")
    for path in [tree, *tree.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    name = output / f"{package}_{OPTIONS.version}_amd64.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zxz", f"-z{OPTIONS.level}", "--build", tree, name], check=True,
                   stdout=subprocess.DEVNULL, env=os.environ | {"SOURCE_DATE_EPOCH": str(int(TIME.timestamp()))})
    return name, depends


def archive(installed, output, bill, texts):
    """The same for other systems with glibc: one folder that runs where it is unpacked."""
    name = f"stepcast-{OPTIONS.version}-linux-x86_64"
    with tempfile.TemporaryDirectory(dir=output) as folder:
        tree = pathlib.Path(folder) / name
        shutil.copytree(installed, tree, symlinks=True)
        config = (SYSTEMD / "config.yaml").read_text().replace("/usr/share/stepcast", "../share/stepcast")
        write(tree / "etc" / "config.yaml", re.sub(r"(?m)^( +cache_file:).*$", r'\1 ""', config))
        for program in (name for names in PROGRAMS.values() for name in names):
            describe(command_line.ask(installed / "bin" / program, program), tree / "share")
        write(tree / "LICENSE", (ROOT / "LICENSE").read_text())
        write(tree / "CHANGELOG.md", (ROOT / "CHANGELOG.md").read_text())
        write(tree / "THIRD_PARTY_LICENSES.txt", texts)
        write(tree / "stepcast.cdx.json", bill)
        made = output / f"{name}.tar.zst"
        subprocess.run(["tar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", f"--mtime=@{int(TIME.timestamp())}",
                        f"--use-compress-program=zstd -q -{OPTIONS.level * 2 + 1} -T0", "-cf", made, "-C", folder, name], check=True)
    return made


def main():
    output = OPTIONS.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    made, required = [], set()
    with tempfile.TemporaryDirectory(dir=output) as work:
        trees = {package: pathlib.Path(work) / package for package in PROGRAMS}
        for package, tree in trees.items():
            install_programs(package, OPTIONS.installed, tree)
            required |= {re.split(r"[ :(]", each)[0] for each in shared_libraries(tree)}
        components = materials.collect(ROOT, OPTIONS.site, OPTIONS.installed, sorted(required))
        bill = materials.cyclonedx(OPTIONS.version, OPTIONS.revision, components, TIME.strftime("%Y-%m-%dT%H:%M:%SZ"))
        texts = materials.licence_list(components)
        install_service(OPTIONS.installed, trees["stepcast-server"])
        for package, tree in trees.items():
            install_documents(package, tree, texts)
            made.append(finish(package, tree, output)[0])
    made.append(archive(OPTIONS.installed, output, bill, texts))
    for name, text in ((f"stepcast-{OPTIONS.version}.cdx.json", bill), ("THIRD_PARTY_LICENSES.txt", texts)):
        write(output / name, text)
        made.append(output / name)
    write(output / "sha256sums", "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in made))
    for path in made:
        print(f"result: {path.name} {path.stat().st_size / 1e6:.1f} MB")
    return 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("installed", type=pathlib.Path)
    parser.add_argument("site", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--version", required=True)
    parser.add_argument("--revision", required=True)
    parser.add_argument("--level", type=int, default=6, help="of compression, 1..9")
    return parser.parse_args()


if __name__ == "__main__":
    OPTIONS = arguments()
    # Of the commit, so that equal sources make equal packages.
    TIME = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.timezone.utc)
    sys.exit(main())
