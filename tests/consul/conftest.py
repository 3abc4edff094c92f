"""Fixtures in place of py-consul's own, which start Consul in a container: one node of Isobar for each test.

The node listens on port 8500 of the network namespace that `scripts/consul-tests` made, because the tests have that
port in the addresses of their checks.
"""

import collections
import os
import subprocess
import time
import uuid

import pytest
import requests

Node = collections.namedtuple("Node", ["process", "port", "version"])

PORT = 8500


@pytest.fixture(scope="session", autouse=True)
def _unset_consul_token():
    os.environ.pop("CONSUL_HTTP_TOKEN", None)


def start(*args):
    command = [os.environ["ISOBAR_CONSUL_NODE"], "--listen", f"127.0.0.1:{PORT}", "--script-checks", *args]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout.readline(), "the node did not start"
    for _ in range(100):
        try:
            found = requests.get(f"http://127.0.0.1:{PORT}/v1/agent/version", timeout=5)
            return Node(process, PORT, found.json()["HumanVersion"])
        except requests.RequestException:
            time.sleep(0.05)
    raise TimeoutError("the node does not answer")


def stop(node):
    node.process.kill()
    node.process.wait()


@pytest.fixture
def consul_instance():
    node = start()
    yield node
    stop(node)


@pytest.fixture
def acl_consul_instance():
    token = uuid.uuid4().hex
    node = start("--token", token)
    yield node, token
    stop(node)


@pytest.fixture
def consul_port(consul_instance):
    return consul_instance.port, consul_instance.version
