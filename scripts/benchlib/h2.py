"""HTTP/2 beside HAProxy: streams to HTTP/1 and to HTTP/2; memory of idle connections.

Rows and judgement are those of `scripts/bench proxy`. Requests of a connection go out together as they are answered; the
client looks at frames and at the status.
"""
import argparse

from . import compare, held, report
from .lab import Lab
from .rows import H2_ROWS

IDLE = [
    held.Idle("idle", "idle HTTP/2 connection", 7 * 1024, "proto h2", ("--streams", 1)),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    compare.add_row_arguments(parser, H2_ROWS)
    parser.add_argument("--no-idle", action="store_true", help="leave the memory of idle connections out")


def run(lab: Lab, args: argparse.Namespace) -> int:
    status = compare.run_rows(lab, args, H2_ROWS, "h2")
    if args.no_idle:
        return status
    verdicts = held.measure(lab, args, IDLE)
    if args.json:
        report.write_json(args.json.with_suffix(".idle.json"), {"part": "h2", "verdicts": verdicts})
    return status if all(one["pass"] for one in verdicts) else 1
