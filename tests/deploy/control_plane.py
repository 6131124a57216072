"""A real control plane on this machine: etcd, kube-apiserver, controller manager, scheduler. Its kubelets are kwok, which runs nothing."""
import contextlib
import json
import pathlib
import secrets
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

PATIENCE = 180  # seconds for what takes few; a busy machine is slow


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ControlPlane:
    """Runs until `stop`. `folder` takes data, keys and logs; `programs` has Kubernetes' and kwok, etcd is on the PATH."""

    def __init__(self, programs, folder):
        self.folder, self.stack = pathlib.Path(folder), contextlib.ExitStack()
        self.token, etcd, peers, port = secrets.token_hex(16), free_port(), free_port(), free_port()
        self.url = f"https://127.0.0.1:{port}"
        (self.folder / "tokens.csv").write_text(f'{self.token},admin,admin,"system:masters"\n')
        key = self.folder / "accounts.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        self.kubeconfig = self.folder / "kubeconfig"
        self.kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "here", "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
            "clusters": [{"name": "here", "cluster": {"server": self.url, "insecure-skip-tls-verify": True}}],
            "users": [{"name": "admin", "user": {"token": self.token}}]}))
        self.run("etcd", "--data-dir=etcd", f"--listen-client-urls=http://127.0.0.1:{etcd}", f"--advertise-client-urls=http://127.0.0.1:{etcd}",
                 f"--listen-peer-urls=http://127.0.0.1:{peers}", "--unsafe-no-fsync")
        # Debian's etcd streams no lists; who asks for one, as kwok does, is to be told at once.
        self.run(programs / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{etcd}", "--bind-address=127.0.0.1", f"--secure-port={port}",
                 "--cert-dir=certificates", "--service-cluster-ip-range=10.0.0.0/24", f"--service-account-key-file={key}",
                 f"--service-account-signing-key-file={key}", "--service-account-issuer=https://here", "--token-auth-file=tokens.csv",
                 "--authorization-mode=RBAC", "--endpoint-reconciler-type=none", "--feature-gates=WatchList=false")
        self.wait(lambda: self.ask("GET", "/readyz", raw=True) == b"ok", "the API server is ready")
        # Heartbeats of nodes would come late on a busy machine, and their pods be taken for lost.
        self.run(programs / "kube-controller-manager", f"--kubeconfig={self.kubeconfig}", "--leader-elect=false",
                 f"--service-account-private-key-file={key}", "--controllers=*,-node-lifecycle-controller", f"--secure-port={free_port()}",
                 "--bind-address=127.0.0.1")
        self.run(programs / "kube-scheduler", f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", f"--secure-port={free_port()}",
                 "--bind-address=127.0.0.1")
        # Nodes and pods are ready at once, and gone when they are to go.
        self.run(programs / "kwok", f"--kubeconfig={self.kubeconfig}", f"--config={programs / 'stages.yaml'}", "--manage-all-nodes",
                 "--cidr=10.1.0.1/24", "--node-ip=127.0.0.1", f"--server-address=127.0.0.1:{free_port()}")

    def run(self, program, *flags):
        log = self.stack.enter_context(open(self.folder / f"{pathlib.Path(program).name}.log", "w"))
        process = subprocess.Popen([program, *flags], cwd=self.folder, stdout=log, stderr=log)
        self.stack.callback(process.wait)
        self.stack.callback(process.terminate)

    def stop(self):
        self.stack.close()

    def wait(self, condition, what):
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError):
                if condition():
                    return
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not within {PATIENCE} s")
            time.sleep(0.1)

    def ask(self, method, path, body=None, kind="application/json", raw=False):
        """A call of the API. HTTP errors are urllib's, which are OSErrors."""
        request = urllib.request.Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Authorization": f"Bearer {self.token}", "Content-Type": kind})
        with urllib.request.urlopen(request, timeout=PATIENCE, context=ssl._create_unverified_context()) as answer:
            text = answer.read()
        return text if raw else json.loads(text)

    def kubectl(self, *words, text=None):
        done = subprocess.run(["kubectl", "--kubeconfig", self.kubeconfig, *words], input=text, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(map(str, words))}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def add_node(self, name, zone, **capacity):
        capacity = {"cpu": "64", "memory": "512Gi", "pods": "110", "ephemeral-storage": "500Gi"} | capacity
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone}}}
        self.ask("POST", "/api/v1/nodes", node)
        path = f"/api/v1/nodes/{name}"
        self.wait(lambda: "conditions" in self.ask("GET", path)["status"], "the node has a kubelet")
        self.ask("PATCH", f"{path}/status", {"status": {"capacity": capacity, "allocatable": capacity}}, "application/merge-patch+json")
        # Without a controller of nodes nobody takes the taint away that new ones have.
        self.ask("PATCH", path, {"spec": {"taints": None}}, "application/merge-patch+json")
