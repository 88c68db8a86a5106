#!/usr/bin/env python3
"""Serves the browser's page on loopback, and joins each of its channels to a TCP port.

bridge.py FOLDER PORT: a WebSocket at /peer is a connection to PORT; what pages say at /control is printed, a
line each with how often it was said, and lines of standard input go to all pages. Prints {"event": "serving", "port": …} first.
"""
import asyncio
import base64
import hashlib
import json
import os
import sys

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KINDS = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
folder, peer_port = sys.argv[1], int(sys.argv[2])
pages = set()
counts = {}


def frame(opcode, payload):
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, size])
    elif size < 1 << 16:
        head = bytes([0x80 | opcode, 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | opcode, 127]) + size.to_bytes(8, "big")
    return head + payload


async def messages(reader):
    """The opcode and payload of each message, until the end; fragments are joined."""
    whole, kind = b"", 0
    while True:
        first, second = await reader.readexactly(2)
        size = second & 127
        if size == 126:
            size = int.from_bytes(await reader.readexactly(2), "big")
        elif size == 127:
            size = int.from_bytes(await reader.readexactly(8), "big")
        mask = await reader.readexactly(4) if second & 128 else bytes(4)
        payload = await reader.readexactly(size)
        key = mask * (size // 4 + 1)
        payload = (int.from_bytes(payload, "big") ^ int.from_bytes(key[:size], "big")).to_bytes(size, "big")
        opcode = first & 15
        if opcode == 8:
            return
        if opcode >= 8:
            continue
        whole, kind = (payload, opcode) if opcode else (whole + payload, kind)
        if first & 128:
            yield kind, whole


async def carry_peer(reader, writer):
    inner, outer = await asyncio.open_connection("127.0.0.1", peer_port)

    async def back():
        while data := await inner.read(1 << 16):
            writer.write(frame(2, data))
            await writer.drain()
        writer.write(frame(8, b""))

    task = asyncio.create_task(back())
    try:
        async for _, data in messages(reader):
            outer.write(data)
            await outer.drain()
    finally:
        outer.close()
        task.cancel()


async def control(reader, writer):
    pages.add(writer)
    try:
        async for _, data in messages(reader):
            said = json.loads(data)
            said["nth"] = counts[said["event"]] = counts.get(said["event"], 0) + 1
            print(json.dumps(said), flush=True)
    finally:
        pages.discard(writer)


def file_at(path):
    name = "index.html" if path == "/" else path[1:]
    full = os.path.join(folder, name)
    if "/" in name or not os.path.isfile(full):
        return None
    with open(full, "rb") as file:
        return file.read(), KINDS.get(os.path.splitext(name)[1], "application/octet-stream")


async def serve(reader, writer):
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = head[0].split(" ")[1].split("?")[0]
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        if "sec-websocket-key" in fields:
            accept = base64.b64encode(hashlib.sha1(fields["sec-websocket-key"].encode() + GUID).digest()).decode()
            writer.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          f"Sec-WebSocket-Accept: {accept}\r\n\r\n").encode())
            await (carry_peer if path == "/peer" else control)(reader, writer)
        else:
            found = file_at(path)
            body, kind = found or (b"", "text/plain")
            writer.write((f"HTTP/1.1 {'200 OK' if found else '404 Not Found'}\r\nContent-Type: {kind}\r\n"
                          f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode() + body)
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, OSError):
        pass
    finally:
        writer.close()


async def commands():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        for page in set(pages):
            page.write(frame(1, line.strip()))


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(json.dumps({"event": "serving", "port": server.sockets[0].getsockname()[1]}), flush=True)
    await commands()


asyncio.run(main())
