"""Where the mirror's trials run: a hub with registries, and nodes of a cluster each in a namespace, joined by a bridge."""
import ctypes
import http.client
import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

from .mirror_content import MANIFEST, Content

TAG = f"im{os.getpid()}"
NEWNET = 0x40000000
HUB = "10.97.0.1"


def run(*words, check: bool = True) -> str:
    return subprocess.run([str(word) for word in words], check=check, capture_output=True, text=True).stdout


def enter_hub() -> None:
    """Makes the hub, and moves this process into it."""
    name = f"{TAG}hub"
    run("ip", "netns", "add", name)
    run("ip", "-n", name, "link", "set", "lo", "up")
    run("ip", "-n", name, "link", "add", "br0", "type", "bridge", "forward_delay", "0")
    run("ip", "-n", name, "addr", "add", f"{HUB}/16", "dev", "br0")
    run("ip", "-n", name, "link", "set", "br0", "up")
    with open(f"/var/run/netns/{name}") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), NEWNET):
            raise OSError(ctypes.get_errno(), name)


def leave() -> None:
    for name in re.findall(rf"^{TAG}\S*", run("ip", "netns", "list"), re.M):
        run("ip", "netns", "del", name, check=False)


def wait_for(what: str, holds, seconds: float = 60, pause: float = 0.02):
    """What `holds` gives once that is true, and how long it took."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            found = holds()
            if found:
                return found, time.monotonic() - began
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            pass
        time.sleep(pause)
    raise RuntimeError(f"{what}: not within {seconds} s")


class Registry(Content):
    """docker-registry, with a log of who asked for what."""

    def __init__(self, root: Path, port: int, data: Path | None = None, events: str | None = None) -> None:
        self.address, self.log = (HUB, port), root / f"registry-{port}.log"
        self.data, self.config = data or root / f"registry-{port}", root / f"registry-{port}.json"
        says = {"version": "0.1", "log": {"level": "error", "accesslog": {"disabled": False}},
                "storage": {"filesystem": {"rootdirectory": str(self.data)}, "delete": {"enabled": True}},
                "http": {"addr": f"{HUB}:{port}", "secret": "a secret of the lab"}}
        if events:
            says["notifications"] = {"endpoints": [{"name": "isobar", "url": events, "timeout": "1s", "threshold": 5,
                                                    "backoff": "1s"}]}
        self.config.write_text(json.dumps(says))
        self.process = None
        self.start()

    def start(self) -> None:
        output = self.log.open("a")
        self.process = subprocess.Popen(["docker-registry", "serve", self.config], stdout=output, stderr=output)
        wait_for("docker-registry", lambda: self.ask("GET", "/v2/")[0], 20)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def blob_file(self, digest: str) -> Path:
        algorithm, hexadecimal = digest.split(":")
        return self.data / f"docker/registry/v2/blobs/{algorithm}/{hexadecimal[:2]}/{hexadecimal}/data"

    def is_whole(self, name: str, tag: str) -> bool | None:
        """Whether all that a tag names is there; nothing when there is no tag."""
        status, _, body = self.ask("GET", f"/v2/{name}/manifests/{tag}", headers={"Accept": MANIFEST})
        if status != 200:
            return None
        manifest = json.loads(body)
        blobs = [manifest["config"], *manifest["layers"]]
        return all(self.ask("HEAD", f"/v2/{name}/blobs/{blob['digest']}")[0] == 200 for blob in blobs)

    def seen(self) -> list:
        """Of the log: who, when in seconds, method, path, status."""
        pattern = re.compile(r'^(\S+) - \S+ \[([^\]]+)\] "(\S+) (\S+) [^"]*" (\d+)')
        found = (pattern.match(line) for line in self.log.read_text(errors="replace").splitlines())
        return [(one[1], one[2], one[3], one[4], int(one[5])) for one in found if one]


class Watch(threading.Thread):
    """Looks again and again whether tags of the target are whole."""

    def __init__(self, registry: Registry, name: str, tags: list) -> None:
        super().__init__(daemon=True)
        self.registry, self.name, self.tags = registry, name, tags
        self.going, self.looks, self.broken = True, 0, []

    def run(self) -> None:
        while self.going:
            # The newest, and one of those that have been there for long.
            for tag in self.tags[-3:] + random.sample(self.tags[:-3], min(1, len(self.tags[:-3]))):
                try:
                    if self.registry.is_whole(self.name, tag) is False:
                        self.broken.append(tag)
                    self.looks += 1
                except (OSError, ValueError, http.client.HTTPException):
                    pass
            time.sleep(0.05)


class Node:
    """A member of the cluster, in a namespace of its own."""

    def __init__(self, root: Path, program: Path, number: int, of: int, sections: str) -> None:
        self.root, self.program, self.number = root, program, number
        self.namespace, self.address = f"{TAG}n{number}", f"10.97.1.{number}"
        run("ip", "netns", "add", self.namespace)
        run("ip", "-n", f"{TAG}hub", "link", "add", f"p{number}", "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        run("ip", "-n", f"{TAG}hub", "link", "set", f"p{number}", "master", "br0", "up")
        for words in (("link", "set", "lo", "up"), ("addr", "add", f"{self.address}/16", "dev", "eth0"),
                      ("link", "set", "eth0", "up")):
            run("ip", "-n", self.namespace, *words)
        join = " ".join(f"10.97.1.{n}:7400" for n in range(1, of + 1))
        self.config = root / f"node-{number}.cfg"
        self.config.write_text(
            f"global\n    nbthread 1\nregion-map\n    node n{number} region r{number}\n"
            f"    bind {self.address}:7400 insecure\n    data-dir {root}/data-{number}\n    retry-join {join}\n"
            f"    expect {min(of, 3)}\n    http-api {self.address}:8500 insecure\n{sections}")
        self.process = None

    def start(self) -> None:
        output = (self.root / f"node-{self.number}.out").open("a")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, self.program, "-db", "-f", self.config],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.killpg(self.process.pid, number)
        self.process.wait()

    def ask(self, method: str, path: str):
        connection = http.client.HTTPConnection(self.address, 8500, timeout=10)
        try:
            connection.request(method, path)
            return json.loads(connection.getresponse().read() or "null")
        finally:
            connection.close()

    def rule(self) -> dict:
        rules = self.ask("GET", "/v1/mirror")
        return rules[0] if rules else {}


class Cluster:
    """Nodes with the same sections, up to where they have a leader and have looked once."""

    def __init__(self, root: Path, program: Path, count: int, sections: str) -> None:
        self.sections = sections
        self.nodes = [Node(root, program, n, count, sections) for n in range(1, count + 1)]
        for node in self.nodes:
            node.start()
        self.ready()

    def ready(self) -> None:
        for node in self.nodes:
            wait_for("a leader", lambda node=node: node.ask("GET", "/v1/status/leader"))
        wait_for("a first look", lambda: self.nodes[0].rule().get("Targets"))

    def leader(self) -> Node:
        def named():
            said = next(node for node in self.nodes if node.process.poll() is None).ask("GET", "/v1/status/leader")
            return next((node for node in self.nodes if said and node.address in said), None)
        return wait_for("a leader", named)[0]

    def jobs(self) -> list:
        """Jobs that run, as any node that lives tells them."""
        for node in self.nodes:
            try:
                return node.ask("GET", "/v1/mirror/jobs") or []
            except (OSError, ValueError, http.client.HTTPException):
                continue
        return []

    def stop(self) -> None:
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                node.kill()
            run("ip", "netns", "del", node.namespace, check=False)
