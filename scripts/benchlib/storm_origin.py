"""An origin of `scripts/lab storm`: answers each request with its own id. Started as a program: storm_origin.py PORT.

`GET /ID?size=N&chunked=1&wait=MS&pause=MS&close=1`, with the header `X-Id: ID`. The body repeats the id, so that a piece
of another client's response shows wherever it stands. A body that is sent must repeat the id too. What no client of the
storm can have sent goes to stderr, and fails the storm.
"""
import asyncio
import sys
from urllib.parse import parse_qs, urlsplit


def pattern(name: str, size: int) -> bytes:
    """So many bytes that show whose they are."""
    once = f"{name} ".encode()
    return (once * (size // len(once) + 1))[:size]


async def body_of(reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
    if fields.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(fields.get("content-length", "0")))
    parts = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(parts)


def head_of(raw: bytes) -> tuple[str, str, dict[str, str]]:
    line, *rest = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, version = line.split(" ")
    if version != "HTTP/1.1" and target != "/check":
        raise ValueError(line)
    pairs = (field.split(":", 1) for field in rest)
    return method, target, {name.lower(): value.strip() for name, value in pairs}


async def answer(writer: asyncio.StreamWriter, name: str, size: int, asked: dict[str, int], posted: int) -> None:
    """The response, in two halves when a pause is asked for."""
    body = pattern(name, size)
    length = "Transfer-Encoding: chunked" if asked.get("chunked") else f"Content-Length: {size}"
    await asyncio.sleep(asked.get("wait", 0) / 1000)
    writer.write(f"HTTP/1.1 200 OK\r\nX-Id: {name}\r\nX-Posted: {posted}\r\n{length}\r\n\r\n".encode())
    for piece in (body[:size // 2], body[size // 2:]):
        if piece and asked.get("chunked"):
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        else:
            writer.write(piece)
        await writer.drain()
        await asyncio.sleep(asked.get("pause", 0) / 2000)
    if asked.get("chunked"):
        writer.write(b"0\r\n\r\n")
    await writer.drain()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    raw = b""
    try:
        while True:
            raw = await reader.readuntil(b"\r\n\r\n")
            method, target, fields = head_of(raw)
            address = urlsplit(target)
            if address.path == "/check":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                break
            asked = {key: int(values[0]) for key, values in parse_qs(address.query).items()}
            name = address.path[1:]
            body = await body_of(reader, fields)
            if fields.get("x-id") != name or body != pattern("to-" + name, asked.get("posted", 0)):
                raise ValueError(f"a body of {len(body)} bytes, beginning {body[:60]!r}")
            await answer(writer, name, asked["size"], asked, len(body))
            if asked.get("close"):
                break
    except (asyncio.IncompleteReadError, OSError):
        pass
    except (ValueError, KeyError, asyncio.LimitOverrunError) as error:
        print(f"{raw!r}: {error}", file=sys.stderr, flush=True)
    finally:
        writer.close()


async def main(port: int) -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024, reuse_address=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
