"""A gRPC server, and a client that reaches it through a proxy: methods of every kind, deadlines, statuses with
trailers, cancellation. Speaks with the test by lines: tells the server's port, is told the proxy's address, tells what
it saw."""
import sys
import threading
import time
from concurrent import futures

try:
    import grpc
except ImportError as why:
    print(f"no grpc: {why}")
    sys.exit(0)

cancelled = threading.Event()


def unary(request, context):
    context.send_initial_metadata((("x-initial", "i"),))
    context.set_trailing_metadata((("x-trailing", dict(context.invocation_metadata()).get("x-asked", "-")),))
    return request.upper()


def failing(request, context):
    context.set_trailing_metadata((("x-why-bin", b"\x00\xff"),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today: é")


def slow(request, context):
    time.sleep(3)
    return b"late"


def down(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def endless(request, context):
    context.add_callback(cancelled.set)
    while context.is_active():
        yield b"more"
        time.sleep(0.02)


def up(requests, context):
    return b"%d" % sum(len(request) for request in requests)


def both(requests, context):
    for request in requests:
        yield request[::-1]


HANDLERS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Failing": grpc.unary_unary_rpc_method_handler(failing),
    "Slow": grpc.unary_unary_rpc_method_handler(slow),
    "Down": grpc.unary_stream_rpc_method_handler(down),
    "Endless": grpc.unary_stream_rpc_method_handler(endless),
    "Up": grpc.stream_unary_rpc_method_handler(up),
    "Both": grpc.stream_stream_rpc_method_handler(both),
}


def saw(name, what):
    print(f"{name}: {what}", flush=True)


def calls(channel):
    answer, call = channel.unary_unary("/t.T/Unary").with_call(b"hello", metadata=(("x-asked", "yes"),), timeout=10)
    saw("unary", f"{answer} {dict(call.initial_metadata()).get('x-initial')} "
                 f"{dict(call.trailing_metadata()).get('x-trailing')}")
    answer = channel.unary_unary("/t.T/Unary")(b"x" * 1_000_000, timeout=10)
    saw("large", f"{len(answer)} {set(answer)}")
    try:
        channel.unary_unary("/t.T/Failing")(b"", timeout=10)
    except grpc.RpcError as error:
        saw("failing", f"{error.code().name} {error.details()} {dict(error.trailing_metadata()).get('x-why-bin')}")
    begun = time.monotonic()
    try:
        channel.unary_unary("/t.T/Slow")(b"", timeout=0.5)
    except grpc.RpcError as error:
        saw("deadline", f"{error.code().name} {time.monotonic() - begun < 2}")
    saw("down", list(channel.unary_stream("/t.T/Down")(b"1000", timeout=20)) == [b"%d" % n for n in range(1000)])
    saw("up", channel.stream_unary("/t.T/Up")((b"y" * 1000 for _ in range(500)), timeout=20))
    sent = []

    def turns():
        # Each message waits for the answer to the one before: no side may hold anything back.
        for word in (b"abc", b"def", b"ghi"):
            sent.append(word)
            yield word
            while len(received) < len(sent):
                time.sleep(0.005)

    received = []
    for answer in channel.stream_stream("/t.T/Both")(turns(), timeout=20):
        received.append(answer)
    saw("both", received)
    stream = channel.unary_stream("/t.T/Endless")(b"", timeout=20)
    for number, _ in enumerate(stream):
        if number == 5:
            stream.cancel()
            break
    saw("cancelled", f"{stream.code().name} {cancelled.wait(5)}")
    many = [channel.unary_unary("/t.T/Unary").future(b"m%d" % n, timeout=20) for n in range(200)]
    saw("many", [one.result() for one in many] == [b"M%d" % n for n in range(200)])


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.T", HANDLERS),))
    print(f"port {server.add_insecure_port('127.0.0.1:0')}", flush=True)
    server.start()
    target = sys.stdin.readline().strip()
    with grpc.insecure_channel(target) as channel:
        calls(channel)
    server.stop(None)
    print("end", flush=True)


main()
