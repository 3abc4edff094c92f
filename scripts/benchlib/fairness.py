"""What the others feel while one client downloads, one uploads and 5,000 connections arrive at once.

One worker on CPU 0; clients and origin share CPU 1. For each window 64 keep-alive connections send 128 B requests as
fast as they are answered, while one client downloads and one uploads without pause; a third into the window 5,000
connections come at once with a request each. Judged is the p99 of the 64, beside HAProxy's in the same round; HAProxy
runs twice, and its second p99 over its first is the control. That the bulk clients still get their share is shown, and
every one of the 5,000 must be answered.
"""
import argparse
import json
import statistics
import subprocess
import time
from contextlib import ExitStack

from . import report
from .compare import ORDERS, SIDES, ratios, stopping
from .lab import LOAD_CPU, Lab, Unable
from .load import Client, Origin
from .proxy import Proxy, about, config, sides
from .rows import CONNS

BULK = 256 * 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bar", type=float, default=1.0, help="the most p99 may be of HAProxy's (default: %(default)s)")
    parser.add_argument("--arrivals", type=int, default=5000, help="connections that arrive at once (default: %(default)s)")
    parser.add_argument("--rounds", type=int, help="rounds (default 7; --quick: 3)")
    parser.add_argument("--window", type=float, default=2.0, help="seconds per window (default: %(default)s)")


def window(lab: Lab, proxy: Proxy, seconds: float, arrivals: int) -> dict:
    """One window of one side."""
    upload = lab.spawn([lab.load_bin, "upload", "--target", proxy.target, "--bytes", BULK, "--duration", seconds + 0.3],
                       {LOAD_CPU}, stdout=subprocess.PIPE, text=True)
    download = Client(lab, "http", proxy.target, "--conns", 1, "--path", f"/{BULK}", "--duration", seconds)
    steady = Client(lab, "http", proxy.target, "--conns", CONNS, "--duration", seconds, "--slices", 100,
                    pids=proxy.pids())
    time.sleep(0.3 + seconds / 3)
    storm = Client(lab, "http", proxy.target, "--conns", arrivals, "--requests", arrivals, "--close")
    told = {"storm": storm.finish(60), "steady": steady.finish(60), "download": download.finish(60)}
    text, _ = upload.communicate(timeout=60)
    lab.stop(upload)
    if not text.strip():
        raise Unable(f"{proxy.name}: the upload ended without a report")
    return told | {"upload": json.loads(text)}


def measure(lab: Lab, args: argparse.Namespace, rounds: int) -> dict[str, list[dict]]:
    windows: dict[str, list[dict]] = {side: [] for side in SIDES}
    for number in range(rounds):
        with ExitStack() as stack:
            origin = stack.enter_context(stopping(Origin(lab)))
            for side in ORDERS[number % 2]:
                port = lab.port()
                text = config("http", port, origin.http, maxconn=args.arrivals + 2000,
                              options=("option splice-auto",))
                with stopping(Proxy(lab, side, sides(args)[side], text, port)) as proxy:
                    Client(lab, "http", proxy.target, "--conns", CONNS, "--duration", 0.5).finish(60)
                    windows[side].append(window(lab, proxy, args.window, args.arrivals))
    return windows


def run(lab: Lab, args: argparse.Namespace) -> int:
    rounds = args.rounds or (3 if args.quick else 7)
    told = about(lab, args)
    report.heading(told)
    windows = measure(lab, args, rounds)
    middle = {side: lambda figure, side=side: statistics.median(figure(one) for one in windows[side]) for side in SIDES}
    print(f"{'':8} {'p50 us':>8} {'p99 us':>8} {'max us':>9} {'requests/s':>11} {'down MB/s':>10} {'up MB/s':>8} "
          f"{'arrivals p99 ms':>16}")
    for side, of in middle.items():
        print(f"{side:8} {of(lambda w: w['steady']['latency_us']['p50']):8.0f} "
              f"{of(lambda w: w['steady']['latency_us']['p99']):8.0f} "
              f"{of(lambda w: w['steady']['latency_us']['max']):9.0f} "
              f"{of(lambda w: w['steady']['requests'] / w['steady']['seconds']):11.0f} "
              f"{of(lambda w: w['download']['body_bytes'] / w['download']['seconds'] / 1e6):10.0f} "
              f"{of(lambda w: w['upload']['bytes'] / w['upload']['seconds'] / 1e6):8.0f} "
              f"{of(lambda w: w['storm']['latency_us']['p99'] / 1e3):16.0f}")
    print()
    p99 = ratios({side: [one["steady"]["latency_us"]["p99"] for one in windows[side]] for side in SIDES})
    failed = sum(one[part]["failed"] for one in windows["isobar"] for part in ("storm", "steady"))
    verdicts = [
        report.verdict("p99", p99["ratio"] <= args.bar,
                       f"{report.span(p99['ratio'], p99['ratios'])} of HAProxy's, bar {args.bar}, "
                       f"control {report.span(p99['control'], p99['controls'])}"),
        report.verdict("answered", failed == 0, f"{failed} requests failed"),
    ]
    report.write_json(args.json, {"part": "fairness", "about": told, "windows": windows, "verdicts": verdicts})
    return 0 if all(one["pass"] for one in verdicts) else 1
