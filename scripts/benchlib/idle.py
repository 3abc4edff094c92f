"""Resident memory of idle keep-alive connections, each of which made one request.

Both proxies are started afresh for each round, warmed up with 64 busy connections, and given 500 idle ones that do
not count: they use up what the warm-up left in pools, which would flatter the rest. Then come those that count.
The figure is the growth of resident memory (all processes of the proxy) over their number, measured immediately
and again ten seconds later, when buffers and server connections had time to go; the later one must meet the bar.
At the end every connection is used once more, and all must answer.
"""
import argparse
import statistics
import time

from . import report
from .lab import Lab
from .load import Client, Held, Origin
from .proxy import Proxy, Side, about, config, sides

BAR_BYTES = 1450
SETTLE_SECONDS = 10
BALLAST = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--conns", type=int, default=5000, help="idle connections (default: %(default)s)")
    parser.add_argument("--rounds", type=int, help="fresh starts of each proxy (default 3; --quick: 1)")


def once(lab: Lab, side: Side, conns: int) -> dict:
    """One fresh proxy: bytes a connection at once and settled, and how the last requests went."""
    origin = Origin(lab)
    port = lab.port()
    # Server connections are no part of the question: keep none that is not in use.
    text = config("http", port, origin.http, maxconn=conns + BALLAST + 500, options=("http-reuse always",))
    proxy = Proxy(lab, side.name, side, text, port)
    try:
        Client(lab, "http", proxy.target, "--duration", 1).finish(60)
        ballast = Held(lab, proxy.target, BALLAST)
        time.sleep(2)
        before = proxy.rss_bytes()
        held = Held(lab, proxy.target, conns)
        at_once = proxy.rss_bytes()
        time.sleep(SETTLE_SECONDS)
        settled = proxy.rss_bytes()
        origin_open = sum(row["open"] for row in origin.counts().values())
        again = held.request()
        held.stop()
        ballast.stop()
        return {"before": before, "at_once": (at_once - before) / conns, "settled": (settled - before) / conns,
                "opened": held.opened, "again": again, "origin_open": origin_open}
    finally:
        proxy.stop()
        origin.stop()


def run(lab: Lab, args: argparse.Namespace) -> int:
    told = about(lab, args, connections=args.conns)
    report.heading(told)
    rounds = args.rounds or (1 if args.quick else 3)
    results: dict[str, list[dict]] = {"haproxy": [], "isobar": []}
    print(f"{'':8} {'before':>10} {'immediately':>12} {'settled':>12}  origin   answers")
    for _ in range(rounds):
        for side in results:
            one = once(lab, sides(args)[side], args.conns)
            results[side].append(one)
            print(f"{side:8} {one['before'] / 1024:6.0f} KiB {one['at_once']:7.0f} B/co {one['settled']:7.0f} B/co "
                  f"{one['origin_open']:7}   first {one['opened']['outcomes']}, last {one['again']['outcomes']}")
    print()
    settled = {side: statistics.median(one["settled"] for one in ones) for side, ones in results.items()}
    good = {"200": args.conns}
    served = all(one[when]["outcomes"] == good for one in results["isobar"] for when in ("opened", "again"))
    verdicts = [
        report.verdict("memory", settled["isobar"] <= BAR_BYTES,
                       f"{settled['isobar']:.0f} B a connection, bar {BAR_BYTES}, haproxy {settled['haproxy']:.0f}"),
        report.verdict("served", served, f"all {args.conns} connections answered at first and at the end"),
    ]
    report.write_json(args.json, {"part": "idle", "about": told, "results": results, "verdicts": verdicts})
    return 0 if all(one["pass"] for one in verdicts) else 1
