"""Two routers and a client on a bridge, each in a namespace, and what all parts of the lab use."""
import os
import subprocess
import time

TAG = f"iv{os.getpid()}"


def run(*words: str, check: bool = True) -> str:
    return subprocess.run(words, check=check, capture_output=True, text=True).stdout


def until(seconds: float, done) -> bool:
    deadline = time.time() + seconds
    while time.time() < deadline:
        if done():
            return True
        time.sleep(0.01)
    return done()


def report(what: str, good: bool, more: str = "") -> list[str]:
    print(f"{'PASS' if good else 'FAIL'}  {what}{more}", flush=True)
    return [] if good else [what]


class Network:
    """Two routers and a client on a bridge, each in a namespace."""

    def __enter__(self) -> "Network":
        self.hosts = [f"{TAG}{name}" for name in "abc"]
        self.hub = f"{TAG}hub"
        self.__exit__()
        run("ip", "netns", "add", self.hub)
        run("ip", "-n", self.hub, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", self.hub, "link", "set", "br0", "up")
        for number, host in enumerate(self.hosts):
            run("ip", "netns", "add", host)
            run("ip", "-n", self.hub, "link", "add", f"p{number}", "type", "veth", "peer", "name", "eth0", "netns", host)
            run("ip", "-n", self.hub, "link", "set", f"p{number}", "master", "br0", "up")
            run("ip", "netns", "exec", host, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0")
            for link in ("lo", "eth0"):
                run("ip", "-n", host, "link", "set", link, "up")
            run("ip", "-n", host, "addr", "add", f"192.168.1.{11 + number}/24", "dev", "eth0")
            run("ip", "-n", host, "addr", "add", f"2001:db8::{11 + number}/64", "dev", "eth0")
        return self

    def __exit__(self, *_: object) -> None:
        for host in [*self.hosts, self.hub]:
            run("ip", "netns", "del", host, check=False)

    def cut(self, number: int, connected: bool) -> None:
        run("ip", "-n", self.hub, "link", "set", f"p{number}", *(["master", "br0"] if connected else ["nomaster"]))

    def has(self, number: int, address: str) -> bool:
        return f" {address}/" in run("ip", "-n", self.hosts[number], "-o", "addr", "show", "dev", "eth0")
