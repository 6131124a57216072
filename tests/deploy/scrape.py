"""The real server on free ports, and what its metrics port tells."""
import contextlib
import json
import pathlib
import re
import subprocess
import tempfile
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


@contextlib.contextmanager
def running_server(binaries, flags=()):
    """A server with the bundled models; yields its ports as the port file names them. Stopped at the end."""
    with tempfile.TemporaryDirectory() as folder:
        ports = pathlib.Path(folder) / "ports.json"
        log = open(pathlib.Path(folder) / "log", "w+")
        server = subprocess.Popen(
            [f"{binaries}/stepcast-server", f"--models_dir={ROOT}/models", "--default_model=emoji", "--port=0", "--admin_port=0",
             "--metrics_port=0", "--profile_budget=0", f"--port_file={ports}", *flags],
            stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=ROOT)
        try:
            wait_until_ready(binaries, server, ports)
            yield json.loads(ports.read_text())
        except Exception:
            log.seek(0)
            print(log.read()[-4000:])
            raise
        finally:
            # The second signal skips the drain.
            server.terminate()
            server.terminate()
            server.wait(60)
            log.close()


def wait_until_ready(binaries, server, ports):
    while not ports.is_file():
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with {server.returncode}")
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(0.05)
    subprocess.run([f"{binaries}/stepcast", "--host", f"127.0.0.1:{json.loads(ports.read_text())['port']}", "health", "--wait", "120",
                    "--while-pid", str(server.pid)], check=True, stdout=subprocess.DEVNULL)


def page(ports):
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"http://127.0.0.1:{ports['metrics_port']}/metrics") as answer:
        return answer.read().decode()


def series(text):
    """{metric: [labels of each series]} and {(metric, sorted labels): value} of a page in Prometheus' text format."""
    names, values = {}, {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        name, labels, value = SAMPLE.match(line).groups()
        pairs = dict(LABEL.findall(labels or ""))
        names.setdefault(name, []).append(pairs)
        values[name, tuple(sorted(pairs.items()))] = float(value)
    return names, values
