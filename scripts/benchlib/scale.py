"""5,000 services of 10 instances: changes, parked queries, fan-out, snapshot, restart.

Three nodes are filled through the API of one, first to a tenth; 5,000 blocking queries are parked at all; instances
change at a fixed rate for a while, at a tenth and at full size, to compare what a change costs; a node is ended and
started again. Before that 5,000 blocking queries are parked on one service, which changes: when the last of them is
answered. Latencies are those of the client, so they hold the client's own share.
"""
import argparse
import http.client
import json
import resource
import select
import socket
import statistics
import subprocess
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import lab as place
from .proxy import Side
from .region import ALL_CPUS, Cluster
from .report import verdict

SERVICES, INSTANCES, HOSTS, PARKED = 5_000, 50_000, 100, 5_000
TENTH = INSTANCES // 10
THREADS = 16
FAN_OUT_MS, FAN_OUT_ROUNDS = 100, 7
NODES = 3
# The clients of a node's API get an eighth of its descriptors; who comes when all are taken sends the idle ones away.
DESCRIPTORS = 8 * (PARKED // NODES + 100)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rate", type=int, default=500, help="changes a second (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=60, help="of changes (default: %(default)s)")
    parser.add_argument("--fan-out", action="store_true", help="one service alone: only how soon 5,000 watchers are told")


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
    return resident, place.cpu_s(pid)


def metric(port: int, name: str) -> float:
    """One of the figures a node tells; 0 for one it does not."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = (line.split() for line in answer.read().decode().splitlines())
        return next((float(words[1]) for words in lines if len(words) == 2 and words[0] == name), 0.0)


def at(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def fill(writer: Writer, pool: ThreadPoolExecutor, instances: range) -> None:
    began = time.monotonic()
    took = list(pool.map(lambda number: writer.put(registration(number, 0)), instances))
    spent = time.monotonic() - began
    print(f"filled: {len(took)} registrations in {spent:.1f} s ({len(took) / spent:.0f}/s), p50 {at(took, .5):.1f} ms, "
          f"p99 {at(took, .99):.1f} ms, max {max(took):.1f} ms", flush=True)


def park(cluster: Cluster) -> tuple[list[socket.socket], dict]:
    """Queries at all nodes in turn, each for a service of its own."""
    def resident() -> float:
        return sum(figures(process.pid)[0] for process in cluster.processes)

    before, parked = resident(), []
    for number in range(PARKED):
        query = socket.create_connection(("127.0.0.1", cluster.apis[number % NODES]))
        query.sendall(f"GET /v1/health/service/svc-{number}?index=999999999&wait=10m HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        parked.append(query)
    time.sleep(3)
    answered = sum(bool(select.select([query], [], [], 0)[0]) for query in parked[:1000])
    each = (resident() - before) * 1024 / PARKED
    return parked, verdict("parked", each < 20 and answered == 0,
                           f"{PARKED} blocking queries, {each:.1f} KiB each, bar 20; {answered} of 1000 answered early")


def take_room() -> None:
    """Lets the nodes have as many descriptors as the watchers need."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(hard, DESCRIPTORS)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError) as error:
        raise place.Unable(f"{PARKED} watchers of a node need {DESCRIPTORS} descriptors, and there are {hard}") from error


def fan_out(lab: place.Lab, cluster: Cluster) -> dict:
    """One change of a service that 5,000 blocking queries wait for, at all nodes in turn; the median of rounds."""
    # What is registered as it stands already is no change: no instance was ever of such a generation.
    body = registration(0, 1).replace('"generation": "1"', '"generation": "fan-out {round}"')
    targets = ",".join(f"127.0.0.1:{port}" for port in cluster.apis)
    words = ["parked", "--target", targets, "--path", "/v1/health/service/svc-0", "--put",
             "/v1/catalog/register", "--body", body, "--conns", PARKED, "--rounds", FAN_OUT_ROUNDS]
    client = lab.spawn([lab.load_bin, *words], set(ALL_CPUS), stdout=subprocess.PIPE, text=True)
    text, _ = client.communicate(timeout=300)
    lab.stop(client)
    if client.returncode:
        raise place.Unable("the parked queries failed")
    rounds = json.loads(text)["rounds"]
    last = [one["last_ms"] for one in rounds]
    told = statistics.median(last)
    middle, put = (statistics.median(one[name] for one in rounds) for name in ("median_ms", "put_ms"))
    good = told <= FAN_OUT_MS and all(one["answered"] == PARKED for one in rounds)
    return verdict("fan-out", good,
                   f"{PARKED} watchers of one change told after {told:.1f} ms [{min(last):.1f} {max(last):.1f}], bar "
                   f"{FAN_OUT_MS}; half of them after {middle:.1f} ms; the change itself acknowledged after {put:.1f} ms")


@dataclass
class Changes:
    """What a time of changes at a fixed rate showed."""
    seconds: float
    took_ms: list[float]
    cpu_us: list[float]


def change(cluster: Cluster, writer: Writer, pool: ThreadPoolExecutor, rate: int, seconds: int,
           instances: int) -> Changes:
    pids = [process.pid for process in cluster.processes]
    before, began, futures = [figures(pid)[1] for pid in pids], time.monotonic(), []
    for number in range(rate * seconds):
        time.sleep(max(0, began + number / rate - time.monotonic()))
        futures.append(pool.submit(writer.put, registration(number * 7 % instances, 1 + number)))
    took = [future.result() for future in futures]
    spent = time.monotonic() - began
    cpu = [(figures(pid)[1] - was) / len(took) * 1e6 for pid, was in zip(pids, before)]
    return Changes(spent, took, cpu)


def judge(at_a_tenth: Changes, full: Changes, seconds: int) -> list[dict]:
    """The rate was kept, and a change costs what it costs in a map of a tenth the size."""
    took, by_node = full.took_ms, ", ".join(f"{us:.0f}" for us in full.cpu_us)
    kept = verdict("changes", full.seconds < seconds * 1.1,
                   f"{len(took)} in {full.seconds:.1f} s, p50 {at(took, .5):.1f} ms, p99 {at(took, .99):.1f} ms, max "
                   f"{max(took):.1f} ms")
    ratio = sum(full.cpu_us) / sum(at_a_tenth.cpu_us)
    cost = verdict("cost", ratio < 1.5,
                   f"CPU a change by node {by_node} us, at a tenth of the size "
                   f"{', '.join(f'{us:.0f}' for us in at_a_tenth.cpu_us)} us: {ratio:.2f} times, bar 1.5 (it would be 10 "
                   f"if a change cost its whole map)")
    return [kept, cost]


def applying(cluster: Cluster) -> dict:
    """While snapshots were made, no node may have stopped to apply; each tells its own longest stop."""
    longest = [metric(port, "isobar_region_apply_longest_seconds") * 1000 for port in cluster.metrics]
    made = [metric(port, "isobar_region_snapshots_total") for port in cluster.metrics]
    took = [metric(port, "isobar_region_snapshot_seconds") * 1000 for port in cluster.metrics]
    by_node = ", ".join(f"{ms:.1f}" for ms in longest)
    return verdict("applying", all(0 < ms < 20 for ms in longest) and all(made),
                   f"longest apply by node {by_node} ms, bar 20; snapshots {', '.join(f'{n:.0f}' for n in made)}, the "
                   f"last of each took {', '.join(f'{ms:.0f}' for ms in took)} ms")


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
        lab.prepare(args.bin, args.bin)
        take_room()
        cluster = Cluster(lab, "isobar", side)
        try:
            writer = Writer(cluster.apis[0])
            if args.fan_out:
                for number in range(0, INSTANCES, SERVICES):
                    writer.put(registration(number, 0))
                return 0 if fan_out(lab, cluster)["pass"] else 1
            with ThreadPoolExecutor(THREADS) as pool:
                fill(writer, pool, range(TENTH))
                small = change(cluster, writer, pool, args.rate, min(args.seconds, 20), TENTH)
                fill(writer, pool, range(TENTH, INSTANCES))
                print("resident MiB by node:",
                      ", ".join(f"{figures(process.pid)[0]:.0f}" for process in cluster.processes))
                told = fan_out(lab, cluster)
                parked, held = park(cluster)
                full = change(cluster, writer, pool, args.rate, args.seconds, INSTANCES)
                verdicts = [told, held, *judge(small, full, args.seconds), applying(cluster)]
            for query in parked:
                query.close()
            verdicts.append(restart(lab, cluster, side, 2))
        finally:
            cluster.stop()
    return 0 if all(one["pass"] for one in verdicts) else 1
