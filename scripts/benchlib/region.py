"""Durable writes and reads of the region map over HTTP, beside Debian's etcd 3.4 through its JSON gateway.

Three processes of each side stand on loopback at once and are loaded in turn, round by round, by the same client: 64
keep-alive connections spread over the three nodes, each with a key of its own. A write is acknowledged when it is
durable on a quorum. Reads are linearizable by default on both sides; stale ones are `?stale` and `serializable`.
"""
import argparse
import base64
import json
import shutil
import statistics
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from . import report
from .lab import Lab, Unable
from .load import Client
from .proxy import Side, about, sides

NODES = 3
CONNECTIONS = 64
ALL_CPUS = frozenset({0, 1})
VALUE = "x" * 128
KEY = "YmVuY2gv"  # base64 of "bench/"; four digits after it are base64 too


@dataclass(frozen=True)
class Row:
    key: str
    bar: float
    isobar: tuple[str, ...]
    etcd: tuple[str, ...]


def etcd_words(call: str, **fields) -> tuple[str, ...]:
    return "--method", "POST", "--path", f"/v3/kv/{call}", "--body", json.dumps({"key": KEY + "{conn}"} | fields)


ROWS = [
    Row("put", 2, ("--method", "PUT", "--path", "/v1/kv/bench/{conn}", "--body", VALUE),
        etcd_words("put", value=base64.b64encode(VALUE.encode()).decode())),
    Row("read", 3, ("--method", "GET", "--path", "/v1/kv/bench/{conn}?raw"), etcd_words("range")),
    Row("stale", 5, ("--method", "GET", "--path", "/v1/kv/bench/{conn}?raw&stale"),
        etcd_words("range", serializable=True)),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, help="rounds of both sides (default 5; --quick: 2)")
    parser.add_argument("--seconds", type=float, help="of a window (default 5; --quick: 2)")
    parser.add_argument("--etcd-bin", type=Path, default=Path(shutil.which("etcd") or "/usr/bin/etcd"), metavar="PATH")


class Cluster:
    """Three processes of one side, formed and ready."""

    def __init__(self, lab: Lab, name: str, side: Side):
        self.lab = lab
        self.data = lab.work / f"region-{name}"
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir()
        self.apis = [lab.port() for _ in range(NODES)]
        self.peers = [lab.port() for _ in range(NODES)]
        self.metrics = [lab.port() for _ in range(NODES)]
        self.processes = []
        for node in range(NODES):
            command = self.etcd(side, node) if name == "etcd" else self.isobar(side, node)
            with (self.data / f"{node}.log").open("w") as output:
                self.processes.append(lab.spawn(command, set(ALL_CPUS), stdin=subprocess.DEVNULL, stdout=output,
                                                stderr=output))
        self.wait_ready(name)

    @property
    def target(self) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in self.apis)

    def isobar(self, side: Side, node: int) -> list:
        peers = " ".join(f"127.0.0.1:{port}" for port in self.peers)
        file = self.data / f"{node}.cfg"
        file.write_text(f"region-map\n    node n{node}\n    bind 127.0.0.1:{self.peers[node]}\n"
                        f"    data-dir {self.data}/{node}\n    retry-join {peers}\n    expect {NODES}\n"
                        f"    http-api 127.0.0.1:{self.apis[node]}\n\n"
                        f"frontend metrics\n    mode http\n    timeout client 5s\n"
                        f"    bind 127.0.0.1:{self.metrics[node]}\n    http-request use-service prometheus-exporter\n")
        return [side.binary, *side.flags, "-db", "-f", file]

    def etcd(self, side: Side, node: int) -> list:
        urls = [f"http://127.0.0.1:{port}" for port in self.peers]
        api = f"http://127.0.0.1:{self.apis[node]}"
        return [side.binary, "--name", f"n{node}", "--data-dir", self.data / str(node), "--log-level", "error",
                "--listen-client-urls", api, "--advertise-client-urls", api, "--listen-peer-urls", urls[node],
                "--initial-advertise-peer-urls", urls[node], "--initial-cluster-state", "new",
                "--initial-cluster", ",".join(f"n{number}={url}" for number, url in enumerate(urls))]

    def wait_ready(self, name: str, seconds: float = 30) -> None:
        """Returns once every node takes a write."""
        deadline = time.monotonic() + seconds
        waiting = list(range(NODES))
        while waiting:
            waiting = [node for node in waiting if not self.writes(name, node)]
            if waiting and time.monotonic() > deadline:
                words = (self.data / f"{waiting[0]}.log").read_text(errors="replace").strip().splitlines()[-3:]
                raise Unable(f"{name}: node {waiting[0]} takes no write after {seconds} s: {' / '.join(words)}")
            time.sleep(0.1)

    def writes(self, name: str, node: int) -> bool:
        base = f"http://127.0.0.1:{self.apis[node]}"
        if name == "etcd":
            request = urllib.request.Request(f"{base}/v3/kv/put", b'{"key": "YQ==", "value": "YQ=="}', method="POST")
        else:
            request = urllib.request.Request(f"{base}/v1/kv/a", b"a", method="PUT")
        try:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(request, timeout=3) as response:
                return response.status == 200
        except (OSError, urllib.error.URLError):
            return False

    def stop(self) -> None:
        for process in self.processes:
            self.lab.stop(process)
        shutil.rmtree(self.data, ignore_errors=True)


def measure(lab: Lab, cluster: Cluster, words: tuple[str, ...], seconds: float) -> dict:
    client = Client(lab, "http", cluster.target, *words, "--conns", CONNECTIONS, "--warmup", 0.5, "--duration", seconds,
                    pids=[process.pid for process in cluster.processes], cpus=ALL_CPUS)
    told = client.finish(seconds + 60)
    if told["failed"]:
        raise Unable(f"{words[3]}: {told['failed']} failed requests: {told['errors']}")
    return {"per_second": told["requests"] / told["seconds"], "p50_us": told["latency_us"]["p50"],
            "p99_us": told["latency_us"]["p99"], "cpu_us": told["cpu_ns"] / 1e3 / max(told["requests"], 1)}


def middle(rounds: list[dict], figure: str) -> float:
    return statistics.median(one[figure] for one in rounds)


def show(row: Row, rounds: dict[str, list[dict]]) -> dict:
    ratios = [ours["per_second"] / theirs["per_second"] for ours, theirs in zip(rounds["isobar"], rounds["etcd"])]
    for side in ("etcd", "isobar"):
        print(f"{row.key:6} {side:7} {middle(rounds[side], 'per_second'):9.0f}/s   p50 "
              f"{middle(rounds[side], 'p50_us') / 1000:8.2f} ms   p99 {middle(rounds[side], 'p99_us') / 1000:8.2f} ms   "
              f"CPU {middle(rounds[side], 'cpu_us'):7.1f} us/request")
    ratio = statistics.median(ratios)
    # A p99 is no worse within the noise of the machine.
    p99 = middle(rounds["isobar"], "p99_us") / middle(rounds["etcd"], "p99_us")
    return report.verdict(row.key, ratio >= row.bar and p99 <= 1 + report.NOISE,
                          f"{ratio:.2f} [{min(ratios):.2f} {max(ratios):.2f}] times etcd, bar {row.bar}; p99 {p99:.2f}")


def run(lab: Lab, args: argparse.Namespace) -> int:
    rounds, seconds = args.rounds or (2 if args.quick else 5), args.seconds or (2 if args.quick else 5)
    ours = sides(args)["isobar"]
    told = about(lab, args, etcd=subprocess.run([str(args.etcd_bin), "--version"], capture_output=True,
                                                text=True).stdout.splitlines()[0])
    print(f"isobar   {told['isobar']}\netcd     {told['etcd']}\nmachine  {told['cpu']}, {told['cpus']} CPUs, load "
          f"average {told['load_average']:.2f}; {rounds} rounds of {seconds:g} s a side, {CONNECTIONS} connections\n")
    clusters = {}
    try:
        clusters["etcd"] = Cluster(lab, "etcd", Side("etcd", args.etcd_bin))
        clusters["isobar"] = Cluster(lab, "isobar", ours)
        results, verdicts = {}, []
        for row in ROWS:
            found = results[row.key] = {"etcd": [], "isobar": []}
            for _ in range(rounds):
                for side, words in (("etcd", row.etcd), ("isobar", row.isobar)):
                    found[side].append(measure(lab, clusters[side], words, seconds))
            verdicts.append(show(row, found))
    finally:
        for cluster in clusters.values():
            cluster.stop()
    report.write_json(args.json, {"part": "region", "about": told, "results": results, "verdicts": verdicts})
    return 0 if all(one["pass"] for one in verdicts) else 1
