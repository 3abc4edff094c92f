"""Clients that make work, beside HAProxy: what others feel, what memory it costs, and how it is cut off.

One worker on CPU 0; everything else on CPU 1, the flooding client behind all of it in priority. Another client asks at a
fixed rate over HTTP/1, first in quiet, then while one client floods: rapid reset, CONTINUATION, SETTINGS, PING, empty
DATA, windows that stay shut, half-open and slow TLS handshakes. The bars: the other client's p99 at most three times that
of its quiet, or at most HAProxy's under the same flood; no request of it fails; memory grows by no more than its bound; a
flood of HTTP/2 ends in ENHANCE_YOUR_CALM, streams whose window stays shut in CANCEL, and handshakes that come to nothing
within their time, no more of them at once than `maxsslconn`.
"""
import argparse
import json
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import certificates, report
from .lab import LOAD_CPU, Lab, Unable
from .load import Client, Origin
from .proxy import Proxy, Side, about, config, sides

CONNS, RATE = 16, 500
TIMES = 3.0
MEMORY = 64 << 20
MAXSSLCONN = 500
# Seconds: of a silent client, and of a handshake; and what a busy machine may add.
PATIENCE, HANDSHAKE, LATE = 3, 2, 2
CALM, CANCEL = "11", "8"
FLOODS = ["rapid-reset", "continuation", "settings", "ping", "empty-data", "window-stall", "half-open", "slow-handshake"]
OVER_TLS = ("half-open", "slow-handshake")
ATTACKER = Path(__file__).resolve().parent / "flood_clients.py"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--floods", default=",".join(FLOODS), metavar="KIND,KIND", help="default: all")
    parser.add_argument("--seconds", type=float, help="of each flood (default 20; --quick: 5)")
    parser.add_argument("--rate", type=int, default=RATE, help="the other client's requests a second (default: %(default)s)")


class Watched(Proxy):
    """A proxy with a frontend for each kind of client."""

    def __init__(self, lab: Lab, side: Side, origin: Origin):
        self.clear, self.frames, self.tls = lab.port(), lab.port(), lab.port()
        self.api = lab.work / f"floods-{side.name}.sock"
        certificate = certificates.made(lab, "p256")
        front = [f"bind 127.0.0.1:{self.frames} proto h2", f"bind 127.0.0.1:{self.tls} ssl crt {certificate} alpn h2,http/1.1",
                 f"timeout client {PATIENCE}s", f"timeout http-keep-alive {PATIENCE}s"]
        if side.name == "isobar":
            # HAProxy 2.6 has no word for it.
            front.append(f"timeout client-hs {HANDSHAKE}s")
        text = config("http", self.clear, origin.http, front=tuple(front), options=("http-reuse always",),
                      extra_global=(f"stats socket {self.api} level admin", f"maxsslconn {MAXSSLCONN}"))
        super().__init__(lab, f"floods-{side.name}", side, text, self.clear)

    def info(self, name: str) -> int:
        """A figure of `show info`."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.api))
            connection.sendall(b"show info\n")
            text = b""
            while piece := connection.recv(65536):
                text += piece
        return next(int(line.split(": ")[1]) for line in text.decode().splitlines() if line.startswith(f"{name}: "))


class Watcher(threading.Thread):
    """The most memory, and the most connections that speak TLS, until it is ended."""

    def __init__(self, proxy: Watched):
        super().__init__(daemon=True)
        self.proxy, self.over = proxy, threading.Event()
        self.resident, self.secure = proxy.rss_bytes(), 0
        self.start()

    def run(self) -> None:
        while not self.over.wait(0.25):
            self.resident = max(self.resident, self.proxy.rss_bytes())
            try:
                self.secure = max(self.secure, self.proxy.info("CurrSslConns"))
            except OSError:
                pass

    def finish(self) -> None:
        self.over.set()
        self.join()


@dataclass
class Trial:
    """One flood of one proxy. Latencies in microseconds, memory in octets."""
    quiet: dict
    flooded: dict
    before: int
    most: int
    secure: int
    attacker: dict = field(default_factory=dict)

    @property
    def p99(self) -> float:
        return self.flooded["latency_us"]["p99"]

    @property
    def times(self) -> float:
        return self.p99 / self.quiet["latency_us"]["p99"]


def asked(lab: Lab, args: argparse.Namespace, proxy: Watched, seconds: float) -> dict:
    words = ("--conns", CONNS, "--rate", args.rate, "--warmup", 0.5, "--duration", seconds)
    return Client(lab, "http", proxy.target, *words).finish(seconds + 60)


def trial(lab: Lab, args: argparse.Namespace, proxy: Watched, kind: str, seconds: float) -> Trial:
    quiet = asked(lab, args, proxy, max(2.0, seconds / 4))
    before, watcher = proxy.rss_bytes(), Watcher(proxy)
    port = proxy.tls if kind in OVER_TLS else proxy.frames
    command = ["nice", "-n", "30", sys.executable, ATTACKER, kind, f"127.0.0.1:{port}", seconds + 1]
    attacker = lab.spawn(command, {LOAD_CPU}, stdout=subprocess.PIPE, text=True)
    time.sleep(0.3)
    flooded = asked(lab, args, proxy, seconds - 0.5)
    text, _ = attacker.communicate(timeout=60)
    lab.stop(attacker)
    watcher.finish()
    if not text.strip():
        raise Unable(f"the flooding client ended with status {attacker.returncode}")
    return Trial(quiet, flooded, before, watcher.resident, watcher.secure, json.loads(text))


def is_cut_off(kind: str, trial: Trial) -> tuple[bool, str]:
    """Whether the client was stopped as it should be, in words."""
    told = trial.attacker
    codes = f"GOAWAY {told['goaway']}, RST_STREAM {told['rst']}"
    if kind in OVER_TLS:
        oldest = told["oldest_s"]
        good = oldest is not None and oldest <= HANDSHAKE + LATE or trial.secure >= MAXSSLCONN
        good = good and told["ended"] > 0 and trial.secure <= MAXSSLCONN
        return good, f"{told['ended']} of {told['made']} ended, the oldest after {oldest} s; at most {trial.secure} at once"
    if kind == "window-stall":
        return set(told["rst"]) == {CANCEL}, f"{told['made']} connections, {codes}"
    good = set(told["goaway"]) == {CALM}
    return good, f"{told['ended']} of {told['made']} connections ended: {codes}, without a code {told['without_code']}"


def judge(kind: str, ours: Trial, theirs: Trial) -> list[dict]:
    failed = ours.flooded["failed"] + ours.quiet["failed"]
    good = failed == 0 and (ours.times <= TIMES or ours.p99 <= theirs.p99)
    cut, how = is_cut_off(kind, ours)
    grown = {"isobar": ours.most - ours.before, "haproxy": theirs.most - theirs.before}
    found = [
        report.verdict(f"{kind} p99", good,
                       f"{ours.quiet['latency_us']['p99']:.0f} us in quiet, {ours.p99:.0f} us flooded: {ours.times:.2f} times, bar "
                       f"{TIMES:g}; haproxy {theirs.quiet['latency_us']['p99']:.0f} and {theirs.p99:.0f}: {theirs.times:.2f} times; "
                       f"{failed} failed ({theirs.flooded['failed']} of haproxy's), {ours.flooded['unsent']} unsent"),
        report.verdict(f"{kind} memory", grown["isobar"] <= MEMORY,
                       f"{ours.before / 2**20:.1f} MiB before, at most {ours.most / 2**20:.1f}: {grown['isobar'] / 2**20:.1f} more, "
                       f"bound {MEMORY >> 20}; haproxy {grown['haproxy'] / 2**20:.1f} more"),
        report.verdict(f"{kind} cut off", cut,
                       f"{how}; {ours.attacker['sent'] / 2**20:.0f} MiB were sent (haproxy: {is_cut_off(kind, theirs)[1]}; "
                       f"{theirs.attacker['sent'] / 2**20:.0f} MiB)"),
    ]
    for verdict in found:
        verdict["figures"] = {"isobar": vars(ours), "haproxy": vars(theirs)}
    return found


def run(lab: Lab, args: argparse.Namespace) -> int:
    seconds = args.seconds or (5 if args.quick else 20)
    kinds = args.floods.split(",")
    if unknown := set(kinds) - set(FLOODS):
        raise Unable(f"no such flood: {', '.join(sorted(unknown))}")
    told = about(lab, args, seconds=seconds)
    report.heading(told)
    origin = Origin(lab)
    proxies = {side: Watched(lab, sides(args)[side], origin) for side in ("haproxy", "isobar")}
    verdicts = []
    try:
        for kind in kinds:
            both = {side: trial(lab, args, proxy, kind, seconds) for side, proxy in proxies.items()}
            verdicts += judge(kind, both["isobar"], both["haproxy"])
            ended = {side: proxy.process.poll() for side, proxy in proxies.items()}
            verdicts.append(report.verdict(f"{kind} runs", ended["isobar"] is None, f"process status {ended['isobar']}"))
    finally:
        for proxy in proxies.values():
            proxy.stop()
        origin.stop()
    report.write_json(args.json, {"part": "floods", "about": told, "verdicts": verdicts})
    return 0 if all(one["pass"] for one in verdicts) else 1
