"""Clients that an API has to bear, in one epoll process: silent, slow to read, slow to write.

  api_clients.py KIND ADDRESS COUNT [--path PATH] [--per-second N] [--again N]

Connections come from several addresses of the loopback, so many a second at most. One that the API ends is made again, at
a rate of its own.
Every second a line of JSON says what there is; it ends when its standard input does.
"""
import argparse
import errno
import json
import os
import random
import select
import socket
import sys
import time

SOURCES = 100
IP_BIND_ADDRESS_NO_PORT = 24
# A slow reader takes so much a second, a slow writer gives so much.
TAKEN, GIVEN = 4096, 512
BODY, HEAD = 500_000, 60_000
TURN = 0.1


class Connection:
    """One of them. `told` is the first word that the API said on it."""

    def __init__(self, number: int, kind: str, address: tuple[str, int], path: str):
        self.kind, self.is_open, self.told = kind, False, b""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.socket.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        if kind == "readers":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TAKEN)
        self.socket.bind((f"127.0.{1 + number % SOURCES}.1", 0))
        self.socket.connect_ex(address)
        self.left = self.request(number, path)

    def request(self, number: int, path: str) -> bytes:
        if self.kind == "silent":
            return b""
        if self.kind == "readers":
            return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        if number % 2:
            return f"GET /v1/status/leader HTTP/1.1\r\nHost: a\r\nX-Long: {'a' * HEAD}".encode()
        return f"PUT /v1/kv/slow/{number} HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY}\r\n\r\n".encode() + b"v" * BODY

    def turn(self, share: float) -> bool:
        """Takes or gives what is its share of a second. False: the API ended it."""
        try:
            if self.left:
                most = len(self.left) if self.kind == "readers" else max(1, int(GIVEN * share))
                self.left = self.left[self.socket.send(self.left[:most]):]
            if self.kind == "readers" and not self.left:
                got = self.socket.recv(max(1, int(TAKEN * share)))
                self.told = self.told or got[:12]
                return bool(got)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True

    def hears(self) -> bool:
        """What comes of itself: the end, or an answer to one who writes. False: the API ended it."""
        try:
            got = self.socket.recv(4096)
            self.told = self.told or got[:12]
            return bool(got)
        except BlockingIOError:
            return True
        except OSError:
            return False


class Crowd:
    def __init__(self, args: argparse.Namespace):
        host, port = args.address.rsplit(":", 1)
        self.args, self.address = args, (host, int(port))
        self.epoll, self.all, self.made = select.epoll(), {}, 0
        self.refused, self.ended, self.answers = 0, 0, {}

    def make(self) -> bool:
        try:
            one = Connection(self.made, self.args.kind, self.address, self.args.path)
        except OSError as error:
            self.refused += 1
            if error.errno != errno.EMFILE:
                return True
            return False
        self.made += 1
        self.all[one.socket.fileno()] = one
        self.epoll.register(one.socket.fileno(), select.EPOLLOUT | select.EPOLLRDHUP)
        return True

    def end(self, one: Connection) -> None:
        self.ended += 1
        if one.told:
            status = one.told[9:12].decode(errors="replace")
            self.answers[status] = self.answers.get(status, 0) + 1
        self.all.pop(one.socket.fileno(), None)
        one.socket.close()

    def event(self, one: Connection, events: int) -> None:
        if not one.is_open and events & select.EPOLLOUT and not events & (select.EPOLLERR | select.EPOLLHUP):
            one.is_open = True
            # A reader looks when it is its turn; the others are told when the API says something or ends.
            watched = 0 if one.kind == "readers" else select.EPOLLIN | select.EPOLLRDHUP
            self.epoll.modify(one.socket.fileno(), watched)
            return
        if events & (select.EPOLLERR | select.EPOLLHUP) or not one.hears():
            self.end(one)

    def turns(self, share: float) -> None:
        if self.args.kind == "silent":
            return
        for one in list(self.all.values()):
            if one.is_open and not one.turn(share * random.uniform(0.5, 1.5)):
                self.end(one)

    def run(self) -> None:
        now = time.monotonic()
        said, turned, due = now, now, 0.0
        while not select.select([sys.stdin], [], [], 0)[0]:
            for number, events in self.epoll.poll(TURN / 2, 4096):
                if number in self.all:
                    self.event(self.all[number], events)
            before, now = now, time.monotonic()
            rate = self.args.per_second if self.made < self.args.count else self.args.again
            due = min(due + (now - before) * rate, max(rate * TURN, 1))
            while due >= 1 and len(self.all) < self.args.count and self.make():
                due -= 1
            if now - turned >= TURN:
                self.turns(now - turned)
                turned = now
            if now - said >= 1:
                said = now
                self.say()

    def say(self) -> None:
        is_open = sum(one.is_open for one in self.all.values())
        print(json.dumps({"made": self.made, "open": is_open, "waiting": len(self.all) - is_open, "ended": self.ended,
                          "refused": self.refused, "answers": self.answers}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("silent", "readers", "writers"))
    parser.add_argument("address")
    parser.add_argument("count", type=int)
    parser.add_argument("--path", default="/v1/kv/big/?recurse")
    parser.add_argument("--per-second", type=float, default=3000)
    parser.add_argument("--again", type=float, default=500)
    args = parser.parse_args()
    # What they cost must not be what is measured.
    os.nice(5)
    Crowd(args).run()


if __name__ == "__main__":
    main()
