"""Resident memory of idle connections over TLS and HTTP/2, each of which had one answer."""
import argparse
import statistics
import time
from dataclasses import dataclass

from . import certificates, compare, report
from .lab import Lab
from .load import HeldWeb, Origin
from .proxy import Proxy, Side, config, sides
from .rows import Row

SETTLE_SECONDS = 10
BALLAST = 200


@dataclass(frozen=True)
class Idle:
    """What is held, and the most bytes that a connection may cost."""
    key: str
    title: str
    bar_bytes: int
    bind: str
    words: tuple
    size: int = 128


def once(lab: Lab, side: Side, idle: Idle, conns: int) -> dict:
    """One fresh proxy: bytes a connection once they have settled."""
    origin = Origin(lab)
    port = lab.port()
    bind = idle.bind.format(certificate=certificates.made(lab, "p256"))
    text = config("http", port, origin.http, maxconn=conns + BALLAST + 500, options=("http-reuse always",), bind=bind)
    proxy = Proxy(lab, f"{idle.key}-{side.name}", side, text, port)
    words = [*idle.words, "--path", f"/{idle.size}"]
    try:
        # Memory that a first load leaves in pools would flatter the rest.
        ballast = HeldWeb(lab, proxy.target, BALLAST, words)
        time.sleep(1)
        before = proxy.rss_bytes()
        held = HeldWeb(lab, proxy.target, conns, words)
        time.sleep(SETTLE_SECONDS)
        settled = (proxy.rss_bytes() - before) / conns
        open_last = held.finish()["open"]
        ballast.finish()
        return {"settled": settled, "opened": held.opened["open"], "open_last": open_last}
    finally:
        proxy.stop()
        origin.stop()


def measure(lab: Lab, args: argparse.Namespace, idles: list[Idle]) -> list[dict]:
    """A verdict for each kind of connection."""
    conns, rounds = (500, 1) if args.quick else (3000, 3)
    verdicts = []
    for idle in idles:
        ones = {side: [once(lab, sides(args)[side], idle, conns) for _ in range(rounds)]
                for side in ("haproxy", "isobar")}
        cost = {side: statistics.median(one["settled"] for one in list_) for side, list_ in ones.items()}
        served = all(one["opened"] == conns and one["open_last"] == conns for one in ones["isobar"])
        verdicts.append(report.verdict(
            idle.key, cost["isobar"] <= idle.bar_bytes and served,
            f"{idle.title}: {cost['isobar']:.0f} B a connection, bar {idle.bar_bytes}, haproxy {cost['haproxy']:.0f}"
            + ("" if served else "; not all connections were served and kept")))
    return verdicts


def add_arguments(parser: argparse.ArgumentParser, rows: list[Row]) -> None:
    compare.add_row_arguments(parser, rows)
    parser.add_argument("--no-idle", action="store_true", help="leave the memory of idle connections out")


def run_part(lab: Lab, args: argparse.Namespace, part: str, rows: list[Row], idles: list[Idle]) -> int:
    """The rows of a part, and then what its idle connections cost."""
    status = compare.run_rows(lab, args, rows, part)
    if args.no_idle:
        return status
    verdicts = measure(lab, args, idles)
    if args.json:
        report.write_json(args.json.with_suffix(".idle.json"), {"part": part, "verdicts": verdicts})
    return status if all(one["pass"] for one in verdicts) else 1
