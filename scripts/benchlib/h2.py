"""HTTP/2 beside HAProxy: streams to HTTP/1 and to HTTP/2; memory of idle connections.

Rows and judgement are those of `scripts/bench proxy`. Requests of a connection go out together as they are answered; the
client looks at frames and at the status.
"""
import argparse

from . import held
from .lab import Lab
from .rows import H2_ROWS

IDLE = [
    held.Idle("idle", "idle HTTP/2 connection", 7 * 1024, "proto h2", ("--streams", 1)),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    held.add_arguments(parser, H2_ROWS)


def run(lab: Lab, args: argparse.Namespace) -> int:
    return held.run_part(lab, args, "h2", H2_ROWS, IDLE)
