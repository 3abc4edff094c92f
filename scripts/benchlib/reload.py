"""Configuration swaps under load: nothing lost, nothing leaked, nobody left on the old rules.

A file with 250 backends of 20 servers is changed and SIGUSR2 sent, again and again, while a keep-alive client and
a client with a new connection per request run. Counted: failed requests, time until a new connection meets the new
file, resident memory early and late. 100 connections opened before the first swap must be served after the last,
and connections opened before a new `http-request deny` must meet it at their next request.

HAProxy goes through the same with `-W` and a stats socket for its listeners, as a comparison only: it starts a
second process for each change.
"""
import argparse
import os
import signal
import socket
import statistics
import time

from . import report
from .lab import Lab
from .load import Client, Held, Origin
from .proxy import Proxy, Side, about, sides

BACKENDS = 250
SERVERS = 20
RSS_EARLY_SWAP = 10
RSS_BAR = 1.05
OLD_CONNECTIONS = 100
KEEPALIVE_RATE = 2000
CHURN_RATE = 500
GIVE_UP_AFTER = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--swaps", type=int, help="swaps of Isobar (default 100; --quick: 20)")
    parser.add_argument("--peer-swaps", type=int, help="reloads of HAProxy, 0 for none (default 20; --quick: 11)")


def file_text(port: int, origin: int, generation: int, deny: bool, extra_global: tuple[str, ...]) -> str:
    """The big file; the generation is what `GET /generation` answers."""
    lines = ["global", "    nbthread 1", "    maxconn 4000", *(f"    {line}" for line in extra_global), "",
             "defaults", "    mode http", "    timeout connect 5s", "    timeout client 5m", "    timeout server 5m", "",
             "frontend bench", f"    bind 127.0.0.1:{port}",
             f'    http-request return status 200 content-type text/plain string "{generation}" '
             "if { path /generation }"]
    if deny:
        lines.append("    http-request deny")
    lines.append("    default_backend b1")
    for backend in range(1, BACKENDS + 1):
        lines += ["", f"backend b{backend}", "    balance roundrobin"]
        lines += [f"    server s{server} 127.0.0.1:{origin}" for server in range(1, SERVERS + 1)]
    return "\n".join(lines) + "\n"


class Subject:
    """A proxy that is reloaded."""

    def __init__(self, lab: Lab, side: Side, origin: Origin):
        self.origin, self.generation = origin, 0
        self.port = lab.port()
        # A master that starts a new worker hands the listeners over this socket.
        master = "-W" in side.flags
        self.extra = (f"stats socket {lab.work / 'reload.sock'} level admin expose-fd listeners",) if master else ()
        self.proxy = Proxy(lab, side.name, side, self.text(False), self.port)

    def text(self, deny: bool) -> str:
        return file_text(self.port, self.origin.http[0], self.generation, deny, self.extra)

    def swap(self, deny: bool = False, seconds: float = 20) -> float | None:
        """Changes the file, signals, and gives the milliseconds until a new connection met the change."""
        self.generation += 1
        self.proxy.file.write_text(self.text(deny))
        began = time.monotonic()
        os.kill(self.proxy.process.pid, signal.SIGUSR2)
        while time.monotonic() < began + seconds:
            if self.seen() == self.generation:
                return (time.monotonic() - began) * 1000
            time.sleep(0.005)
        return None

    def seen(self) -> int | None:
        """The generation that a new connection meets."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(b"GET /generation HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n")
                answer = b""
                while chunk := connection.recv(4096):
                    answer += chunk
            return int(answer.rsplit(b"\r\n\r\n", 1)[1])
        except (OSError, IndexError, ValueError):
            return None


def trial(lab: Lab, side: Side, swaps: int) -> dict:
    """All swaps of one proxy under load."""
    origin = Origin(lab)
    subject = Subject(lab, side, origin)
    try:
        old = Held(lab, subject.proxy.target, OLD_CONNECTIONS)
        clients = {
            "keep-alive": Client(lab, "http", subject.proxy.target, "--conns", 32, "--rate", KEEPALIVE_RATE),
            "new connection": Client(lab, "http", subject.proxy.target, "--conns", 16, "--rate", CHURN_RATE, "--close"),
        }
        time.sleep(1)
        rss, times, missed = [subject.proxy.rss_bytes()], [], 0
        for _ in range(swaps):
            took = subject.swap()
            missed += took is None
            times += [took] if took is not None else []
            if missed == GIVE_UP_AFTER:
                break
            # Time for the old file to be freed, and for the load to meet the new one.
            time.sleep(0.3)
            rss.append(subject.proxy.rss_bytes())
        time.sleep(1)
        reports = {name: client.finish(60) for name, client in clients.items()}
        after = old.request()
        watchers = Held(lab, subject.proxy.target, 10)
        deny_ms = subject.swap(deny=True)
        denied = watchers.request()
        ended = subject.proxy.process.poll()
        old.stop()
        watchers.stop()
        return {"times_ms": times, "missed": missed, "rss": rss, "clients": reports, "old": after, "denied": denied,
                "deny_ms": deny_ms, "ended": ended}
    finally:
        subject.proxy.stop()
        origin.stop()


def show(side: str, result: dict) -> None:
    times = result["times_ms"]
    rss = [value / 2**20 for value in result["rss"]]
    print(f"{side}: {len(times)} swaps seen, {result['missed']} not seen"
          + (f"; signal to new file {statistics.median(times):.0f} ms median, {max(times):.0f} ms worst" if times else ""))
    early = min(RSS_EARLY_SWAP, len(rss) - 1)
    print(f"  resident MiB: {rss[0]:.1f} at start, {rss[early]:.1f} after swap {early}, {rss[-1]:.1f} after swap "
          f"{len(rss) - 1}, {max(rss):.1f} at most")
    for name, told in result["clients"].items():
        print(f"  {name}: {told['total_requests']} requests, {told['failed']} failed {told['errors'] or ''}, "
              f"p99 {told['latency_us']['p99'] / 1000:.1f} ms, idle closes {told['idle_closes']}")
    print(f"  connections from before: {result['old']['outcomes']}; after a new deny: {result['denied']['outcomes']}")


def run(lab: Lab, args: argparse.Namespace) -> int:
    swaps = args.swaps or (20 if args.quick else 100)
    peer_swaps = (11 if args.quick else 20) if args.peer_swaps is None else args.peer_swaps
    told = about(lab, args, servers=BACKENDS * SERVERS, swaps=swaps)
    report.heading(told)
    results = {}
    if peer_swaps:
        results["haproxy"] = trial(lab, Side("haproxy", args.peer_bin, ("-W",)), peer_swaps)
        show("haproxy", results["haproxy"])
    result = results["isobar"] = trial(lab, sides(args)["isobar"], swaps)
    show("isobar", result)
    print()
    rss = result["rss"]
    early = min(RSS_EARLY_SWAP, len(rss) - 1)
    failed = {name: told["failed"] for name, told in result["clients"].items()}
    verdicts = [
        report.verdict("swaps", result["missed"] == 0 and result["ended"] is None,
                       f"{len(result['times_ms'])} of {swaps} swaps took effect, process status {result['ended']}"),
        report.verdict("requests", sum(failed.values()) == 0, f"failed: {failed}"),
        report.verdict("memory", rss[-1] <= RSS_BAR * rss[early],
                       f"after swap {len(rss) - 1} {rss[-1] / rss[early]:.3f} of after swap {early}, bar {RSS_BAR}"),
        report.verdict("old connections", result["old"]["outcomes"] == {"200": OLD_CONNECTIONS},
                       f"{OLD_CONNECTIONS} opened before the first swap: {result['old']['outcomes']}"),
        report.verdict("new rule", result["denied"]["outcomes"] == {"403": 10},
                       f"10 open connections after a new deny: {result['denied']['outcomes']}"),
    ]
    report.write_json(args.json, {"part": "reload", "about": told, "results": results, "verdicts": verdicts})
    return 0 if all(one["pass"] for one in verdicts) else 1
