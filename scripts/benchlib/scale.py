"""5,000 services of 10 instances: changes, parked queries, snapshot, restart.

Three nodes are filled through the API of one; 5,000 blocking queries are parked at it; instances change at a fixed rate
for a while; a node is ended and started again. Latencies are those of the client, so they hold the client's own share.
"""
import argparse
import http.client
import json
import os
import resource
import select
import socket
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import lab as place
from .proxy import Side
from .region import ALL_CPUS, Cluster
from .report import verdict

SERVICES, INSTANCES, HOSTS, PARKED = 5_000, 50_000, 100, 5_000
THREADS = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rate", type=int, default=500, help="changes a second (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=20, help="of changes (default: %(default)s)")


def registration(number: int, generation: int) -> str:
    service = f"svc-{number % SERVICES}"
    return json.dumps({"Node": f"host-{number % HOSTS}", "Address": "192.0.2.1", "SkipNodeUpdate": generation > 0,
                       "Service": {"ID": f"i{number}", "Service": service, "Address": "192.0.2.1", "Port": 8000,
                                   "Meta": {"generation": str(generation)}}})


class Writer(threading.local):
    """A connection a thread."""

    def __init__(self, port: int):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def put(self, body: str) -> float:
        """Milliseconds. A registration that fails is made again, and told of."""
        began = time.monotonic()
        while True:
            self.connection.request("PUT", "/v1/catalog/register", body)
            answer = self.connection.getresponse()
            text = answer.read()
            spent = (time.monotonic() - began) * 1000
            if answer.status == 200:
                return spent
            print(f"a registration failed after {spent:.0f} ms: {answer.status} {text[:200]!r}", flush=True)
            if spent > 60_000:
                raise place.Unable("no registration within a minute")


def fetch(port: int, path: str):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return json.load(answer), int(answer.headers.get("x-consul-index") or 0)


def figures(pid: int) -> tuple[float, float]:
    """Resident MiB and CPU seconds."""
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return resident, (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def at(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def fill(writer: Writer, pool: ThreadPoolExecutor) -> None:
    began = time.monotonic()
    took = list(pool.map(lambda number: writer.put(registration(number, 0)), range(INSTANCES)))
    spent = time.monotonic() - began
    print(f"filled: {INSTANCES} registrations in {spent:.1f} s ({INSTANCES / spent:.0f}/s), p50 {at(took, .5):.1f} ms, "
          f"p99 {at(took, .99):.1f} ms, max {max(took):.1f} ms", flush=True)


def park(port: int, pid: int) -> tuple[list[socket.socket], dict]:
    before, _ = figures(pid)
    parked = []
    for number in range(PARKED):
        query = socket.create_connection(("127.0.0.1", port))
        query.sendall(f"GET /v1/health/service/svc-{number}?index=999999999&wait=10m HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        parked.append(query)
    time.sleep(3)
    answered = sum(bool(select.select([query], [], [], 0)[0]) for query in parked[:1000])
    each = (figures(pid)[0] - before) * 1024 / PARKED
    return parked, verdict("parked", each < 20 and answered == 0,
                           f"{PARKED} blocking queries, {each:.1f} KiB each, bar 20; {answered} of 1000 answered early")


def change(cluster: Cluster, writer: Writer, pool: ThreadPoolExecutor, rate: int, seconds: int) -> dict:
    pids = [process.pid for process in cluster.processes]
    before, began, futures = [figures(pid)[1] for pid in pids], time.monotonic(), []
    for number in range(rate * seconds):
        time.sleep(max(0, began + number / rate - time.monotonic()))
        futures.append(pool.submit(writer.put, registration(number * 7 % INSTANCES, 1 + number)))
    took = [future.result() for future in futures]
    spent = time.monotonic() - began
    cpu = [(figures(pid)[1] - was) / len(took) * 1e6 for pid, was in zip(pids, before)]
    return verdict("changes", spent < seconds * 1.1,
                   f"{len(took)} in {spent:.1f} s, p50 {at(took, .5):.1f} ms, p99 {at(took, .99):.1f} ms, max "
                   f"{max(took):.1f} ms; CPU a change by node: {', '.join(f'{us:.0f}' for us in cpu)} us")


def restart(lab: place.Lab, cluster: Cluster, side: Side, node: int) -> dict:
    resident, _ = figures(cluster.processes[node].pid)
    lab.stop(cluster.processes[node])
    began = time.monotonic()
    cluster.processes[node] = lab.spawn(cluster.isobar(side, node), set(ALL_CPUS))
    while time.monotonic() < began + 60:
        try:
            if len(fetch(cluster.apis[node], f"/v1/catalog/service/svc-{SERVICES - 1}?stale")[0]) == INSTANCES // SERVICES:
                break
        except OSError:
            pass
        time.sleep(0.02)
    spent = time.monotonic() - began
    return verdict("restart", spent < 10, f"{spent:.2f} s until it answers with all instances, bar 10; resident before "
                                          f"{resident:.0f} MiB, after {figures(cluster.processes[node].pid)[0]:.0f} MiB")


def run(args: argparse.Namespace) -> int:
    place.enter_namespace()
    root, side = Path(__file__).resolve().parent.parent.parent, Side("isobar", args.bin)
    with place.Lab(root, 0) as lab:
        cluster = Cluster(lab, "isobar", side)
        try:
            writer = Writer(cluster.apis[0])
            with ThreadPoolExecutor(THREADS) as pool:
                fill(writer, pool)
                print("resident MiB by node:",
                      ", ".join(f"{figures(process.pid)[0]:.0f}" for process in cluster.processes))
                parked, held = park(cluster.apis[0], cluster.processes[0].pid)
                verdicts = [held, change(cluster, writer, pool, args.rate, args.seconds)]
            for query in parked:
                query.close()
            verdicts.append(restart(lab, cluster, side, 2))
        finally:
            cluster.stop()
    return 0 if all(one["pass"] for one in verdicts) else 1
