#!/usr/bin/env python3
"""What the documentation tells people to type works, against the real server with the bundled models; ctest's cookbook.

    commands_test.py <folder of the binaries> [unittest options]

Every `sh` block of PAGES is run by bash, in the order of the page, in a folder that looks like the root of a
checkout; what is written lands there and not in the source. A block ends with 0, or as `<!-- exit: 67 -->` before it says.
A `text` or `json` block right after it is its answer. Pictures are real, and of the size that the page promises.
`# ... until Ctrl-C` ends a line that would not end by itself. `<!-- not run: why -->` is told by this test.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import document

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "deploy"), str(ROOT / ".deps" / "python")]
import scrape

TOOLS = ("grpcurl", "jq", "curl", "base64", "sha256sum")
PAGES = ("README.md", "docs/*.md", "clients/*/README.md", "clients/*/*/README.md", "deploy/**/README.md", "tools/**/README.md")
# Pages that promise the size of every picture that they make, and those whose programs no client's test runs.
PROMISING = {"docs/cookbook.md"}
WITH_PROGRAMS = {"README.md"}
PROGRAMS = {"python": "python3", "js": "node --input-type=module"}
NODE_CLIENT = ROOT / "clients" / "node"
PICTURES = (".png", ".jpg", ".webp")
# What the server of ./dev up has not.
CONFIGURATION = "resume: {key_file: resume.key}\n"
RESUME_KEY = "c3RlcGNhc3QgY29va2Jvb2sga2V5IG9mIDMyIGJ5dGVzISE=\n"
UNTIL_CTRL_C = re.compile(r"^(.*\S) +# .*until Ctrl-C.*$", re.MULTILINE)
WITH_TLS = {"stepcast_tls_certificate_expiry_timestamp_seconds"}  # Of a server that shows a certificate.
# The server's; the gateway has a port of its own for its.
SERIES = re.compile(r"(?<![\w:])stepcast_(?!gateway_)[a-z_]+(?![\w:.*])")
BLOCK_SECONDS = 300


def search_path():
    return os.pathsep.join([str(BINARIES), str(ROOT / ".deps" / "bin"), os.environ["PATH"]])


def node_client_is_built():
    return (NODE_CLIENT / "dist" / "index.js").is_file() and shutil.which("node") is not None


class Checkout:
    """A folder like the root of a checkout, in which commands may write: its folders are links."""

    def __init__(self, folder, ports):
        self.folder, self.ports = pathlib.Path(folder), ports
        for name in ("clients", "deploy", "docs", "loras", "models", "proto"):
            (self.folder / name).symlink_to(ROOT / name)
        (self.folder / "build").mkdir()
        (self.folder / "build" / "dev").symlink_to(BINARIES)
        (self.folder / "node_modules" / "@stepcast").mkdir(parents=True)
        (self.folder / "node_modules" / "@stepcast" / "client").symlink_to(NODE_CLIENT)
        (self.folder / ".venv" / "bin").mkdir(parents=True)
        (self.folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
        self.environment = os.environ | {
            "PATH": search_path(), "PYTHONPATH": f"{ROOT}/clients/python/src:{ROOT}/.deps/python", "PYTHONDONTWRITEBYTECODE": "1",
            "STEPCAST_HOST": f"localhost:{ports['port']}", "STEPCAST_ADMIN": f"localhost:{ports['admin_port']}",
            "no_proxy": "localhost", "COLUMNS": "120"}

    def script(self, text):
        """The commands of a block, for this server."""
        for port, name in ((50051, "port"), (50052, "admin_port"), (9464, "metrics_port")):
            text = text.replace(f"localhost:{port}", f"localhost:{self.ports[name]}")
        return UNTIL_CTRL_C.sub(r"timeout -s INT 1 \1 || [ $? -eq 124 ]", text)

    def run(self, text):
        """(exit code, what was said)"""
        with tempfile.TemporaryFile("w+") as said:
            shell = subprocess.Popen(["bash", "-euo", "pipefail", "-c", self.script(text)], cwd=self.folder, env=self.environment,
                                     stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
            try:
                code = shell.wait(BLOCK_SECONDS)
            finally:
                try:
                    os.killpg(shell.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                shell.wait()
            said.seek(0)
            return code, said.read()

    def pictures(self):
        """{name: when it was written} of the pictures that lie here."""
        return {path.name: path.stat().st_mtime_ns for path in self.folder.iterdir() if path.suffix in PICTURES}


class DocumentationTest(unittest.TestCase):
    """Each page has a folder of its own; all have the same server."""

    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        (folder / "resume.key").write_text(RESUME_KEY)
        (folder / "config.yaml").write_text(CONFIGURATION)
        # One thread: on a machine with other work two of them mostly wait for each other.
        flags = (f"--config={folder}/config.yaml", f"--control_nets_dir={ROOT}/models", f"--loras_dir={ROOT}/loras", "--threads=1")
        cls.ports = cls.enterClassContext(scrape.running_server(BINARIES, flags))
        subprocess.run([sys.executable, ROOT / "clients" / "python" / "generate.py"], check=True,
                       env=os.environ | {"PYTHONPATH": f"{ROOT}/.deps/python"})

    def check_block(self, checkout, block, promises_sizes):
        if block.language in PROGRAMS:
            block.text = f"{PROGRAMS[block.language]} - << 'PROGRAM'\n{block.text}PROGRAM\n"
        before = checkout.pictures()
        code, said = checkout.run(block.text)
        self.assertEqual(code, block.exit_code, f"{block.text}said:\n{said}")
        if block.answer is not None:
            self.assertTrue(document.shows(block.answer, said), f"{block.text}said:\n{said}shown:\n{block.answer}")
        made = [name for name, when in checkout.pictures().items() if before.get(name) != when]
        if promises_sizes:
            self.assertEqual(set(made), set(block.pictures), "pictures made, and pictures promised")
        for name in made:
            with PIL.Image.open(checkout.folder / name) as picture:
                picture.load()
                if promises_sizes:
                    self.assertEqual(picture.size, block.pictures[name], name)

    def check_page(self, name):
        blocks = document.read(ROOT / name)
        languages = {"sh", *PROGRAMS} if name in WITH_PROGRAMS else {"sh"}
        commands = [block for block in blocks if block.language in languages]
        with tempfile.TemporaryDirectory() as folder:
            checkout = Checkout(folder, self.ports)
            for block in blocks:
                with self.subTest(at=f"{name}:{block.line}"):
                    self.assertTrue(block.language, "a block must say what it holds: sh, text, yaml, ...")
                    if block.language == "js" and "js" in languages and not node_client_is_built():
                        block.not_run = "the Node client is not built; ctest's node_client does so where Node is"
                    if block.not_run:
                        print(f"{name}:{block.line}: not run: {block.not_run}")
                    elif block.language in languages:
                        self.check_block(checkout, block, name in PROMISING)
        print(f"{name}: ran {sum(not block.not_run for block in commands)} of {len(commands)} blocks with commands", flush=True)


    def test_series(self):
        """Every series that pages name exists, and every one that exists is named in docs/operations.md."""
        told = set(scrape.series(scrape.page(self.ports))[0])
        told |= WITH_TLS | {re.sub("_(bucket|sum|count)$", "", name) for name in told}
        pages = {path: path.read_text() for pattern in PAGES for path in ROOT.glob(pattern)}
        for path, text in pages.items():
            for name in set(SERIES.findall(text)):
                with self.subTest(page=str(path.relative_to(ROOT))):
                    self.assertTrue(name in told, f"the server tells no {name}")
        named = set(SERIES.findall(pages[ROOT / "docs" / "operations.md"]))
        mine = {name for name in told if name.startswith("stepcast_")}
        self.assertEqual({name for name in mine - named if re.sub("_(bucket|sum|count)$", "", name) not in named}, set())


for _path in sorted(path for pattern in PAGES for path in ROOT.glob(pattern)):
    _page = str(_path.relative_to(ROOT))
    setattr(DocumentationTest, "test_" + re.sub(r"\W", "_", _page), lambda self, page=_page: self.check_page(page))

if __name__ == "__main__":
    BINARIES = pathlib.Path(sys.argv.pop(1)).resolve()
    try:
        import PIL.Image
    except ImportError:
        print("skipped: no Pillow; ./dev test installs it (deps/python.txt)")
        sys.exit(77)
    for _tool in TOOLS:
        if shutil.which(_tool, path=search_path()) is None:
            print(f"skipped: no {_tool}")
            sys.exit(77)
    unittest.main(verbosity=2)
