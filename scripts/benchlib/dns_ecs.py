"""Clients' networks (RFC 7871) on random maps: answers hold inside their scope, and are those of gdnsd with the same map."""
import ipaddress
import random
import re
import socket
import struct
import time
import threading
from pathlib import Path

from .dns_node import Node, Program, until
from .lab import Lab

NAMES = ("a", "b", "c")
MAPS, QUERIES = 3, 2000
NAME = b"\x03www\x04test\0"


def packet(network: ipaddress.IPv4Network, number: int) -> bytes:
    octets = network.network_address.packed[:(network.prefixlen + 7) // 8]
    option = struct.pack(">HHHBB", 8, 4 + len(octets), 1, network.prefixlen, 0) + octets
    return (struct.pack(">6H", number & 0xffff, 0, 1, 0, 0, 1) + NAME + struct.pack(">2H", 1, 1)
            + struct.pack(">BHHIH", 0, 41, 1232, 0, len(option)) + option)


def ask(asking: socket.socket, network: ipaddress.IPv4Network, number: int) -> tuple[str, int, bytes]:
    """Address, scope, and the echoed part of the option."""
    sent = packet(network, number)
    for _ in range(3):
        try:
            asking.send(sent)
            answer = asking.recv(2048)
            while answer[:2] != sent[:2]:
                answer = asking.recv(2048)
            break
        except OSError:
            time.sleep(0.02)
    else:
        return "no answer", 0, b""
    at = 12 + len(NAME) + 4
    if answer[6:8] == b"\0\0":
        return f"code {answer[3] & 15}", 0, b""
    address = socket.inet_ntoa(answer[at + 12:at + 16])
    found = answer.rfind(b"\x00\x08" + sent[-4 - len(network.network_address.packed[:(network.prefixlen + 7) // 8]) - 2:][:2])
    option = answer[found + 4:] if found > 0 else b""
    return address, option[3] if len(option) > 3 else 0, option[:3] + option[4:]


def connected(address: str) -> socket.socket:
    asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asking.settimeout(1)
    asking.connect((address, 53))
    return asking


def random_map(draw: random.Random) -> dict[ipaddress.IPv4Network, str]:
    found = {}
    for _ in range(60):
        length = draw.randint(4, 28)
        network = ipaddress.IPv4Network((draw.getrandbits(32) >> (32 - length) << (32 - length), length))
        if not network.overlaps(ipaddress.IPv4Network("127.0.0.0/8")):
            found[network] = draw.choice(NAMES)
    # Some inside of others.
    for outer in [n for n in found if n.prefixlen <= 20][:20]:
        length = draw.randint(outer.prefixlen + 1, 30)
        inner = int(outer.network_address) | draw.getrandbits(32 - outer.prefixlen)
        network = ipaddress.IPv4Network((inner >> (32 - length) << (32 - length), length))
        found.setdefault(network, draw.choice(NAMES))
    return found


def gdnsd(lab: Lab, place: Path, networks: dict) -> Program:
    for sub in ("zones", "geoip", "run", "state"):
        (place / "gdnsd" / sub).mkdir(parents=True)
    base = place / "gdnsd"
    (base / "zones/test").write_text("$TTL 30\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.53\nwww 30 DYNA geoip!w\n")
    order = {name: [name] + [other for other in NAMES if other != name] for name in NAMES}
    nets = ", ".join(f"{network} => [{', '.join(order[name])}]" for network, name in networks.items())
    places = ", ".join(f"{name} => 192.0.2.{number}" for number, name in enumerate(NAMES, 1))
    (base / "config").write_text(
        f"options => {{ listen => 127.0.0.50, udp_threads => 1, tcp_threads => 1, run_dir => {base}/run, state_dir => {base}/state }}\n"
        f"plugins => {{ geoip => {{ maps => {{ m => {{ datacenters => [a, b, c], nets => {{ {nets} }} }} }},\n"
        f"  resources => {{ w => {{ map => m, dcmap => {{ {places} }} }} }} }} }}\n")
    return Program(lab, base, "gdnsd", "gdnsd", "-c", base, "start")


def one_map(lab: Lab, place: Path, seed: int):
    draw = random.Random(seed)
    networks = random_map(draw)
    place.mkdir()
    regions = ""
    for name in NAMES:
        own = " ".join(str(network) for network, of in networks.items() if of == name)
        regions += f"region {name}\n" + (f"    networks {own}\n" if own else "")
    node = Node(lab, place, "zone test\nrecord www service web policy networks ttl 30s\n",
                regions, region="a")  # Where the node stands is everybody else.

    def beat() -> None:
        while node.alive:
            for name in NAMES:
                node.live(name)
            time.sleep(1)

    until(20, lambda: all([node.live(name) for name in NAMES]))
    threading.Thread(target=beat, daemon=True).start()
    for number, name in enumerate(NAMES, 1):
        until(10, lambda: node.register("web", name, f"web-{name}", f"192.0.2.{number}", 80))
    other = gdnsd(lab, place, networks)
    ours, theirs = connected("127.0.0.2"), connected("127.0.0.50")
    everybody = ipaddress.IPv4Network("0.0.0.0/1")
    until(15, lambda: ask(theirs, everybody, 1)[0].startswith("192") and
          {ask(ours, n, 1)[0] for n in networks} >= {"192.0.2.1", "192.0.2.2", "192.0.2.3"})
    broken, differ, echoes, compared = [], [], [], 0
    inside_of = list(networks)
    for number in range(QUERIES):
        if draw.random() < 0.6:
            outer = draw.choice(inside_of)
            address = int(outer.network_address) | draw.getrandbits(32 - outer.prefixlen)
        else:
            address = draw.getrandbits(32)
        length = draw.choice((32, 24, 24, 24, 20, 16, draw.randint(1, 32)))
        network = ipaddress.IPv4Network((address >> (32 - length) << (32 - length), length))
        answer, scope, echo = ask(ours, network, number)
        octets = network.network_address.packed[:(length + 7) // 8]
        if echo[:3 + len(octets)] != struct.pack(">HB", 1, length) + octets:
            echoes.append(str(network))
        # Anybody in the scope, whatever the length of the query was.
        for _ in range(3):
            other_address = int(network.network_address)
            if scope < 32:
                other_address = other_address >> (32 - scope) << (32 - scope) | draw.getrandbits(32 - scope)
            near = ipaddress.IPv4Network((other_address, 32))
            if ask(ours, near, number)[0] != answer:
                broken.append(f"{network} says {answer} for /{scope}, {near} another")
        their = ask(theirs, ipaddress.IPv4Network((int(network.network_address), 32)), number)[0]
        compared += 1
        if their != ask(ours, ipaddress.IPv4Network((int(network.network_address), 32)), number)[0]:
            differ.append(f"{network.network_address}: {answer}, gdnsd {their}")
    yield (f"map {seed}: constant inside the scope", not broken,
           broken[0] if broken else f"{QUERIES} queries, 3 others in the scope of each")
    yield f"map {seed}: family, source and address are echoed", not echoes, echoes[0] if echoes else ""
    words = re.sub(r"\s+", " ", other.words()[-200:]) if len(differ) > QUERIES / 2 else ""
    yield f"map {seed}: as gdnsd", not differ, (f"{len(differ)} of {compared} differ, {differ[0]} {words}" if differ
                                                else f"{compared} answers, {len(networks)} networks")
    node.alive = False
    other.stop()
    node.stop()


def run(lab: Lab, place: Path, _args):
    for seed in range(1, MAPS + 1):
        yield from one_map(lab, place / str(seed), seed)
