"""A socket that speaks RESP by hand: sends any bytes, reads whole replies as bytes."""

import socket

import lsmkv_server


def command(*words):
    """RESP bytes of one command."""
    parts = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


class RawClient:
    def __init__(self, server, path=None, host="127.0.0.1"):
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(lsmkv_server.WAIT_SECONDS)
            self.socket.connect(path)
        else:
            self.socket = socket.create_connection((host, server.port), timeout=lsmkv_server.WAIT_SECONDS)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()    # grows in place: large values stay linear

    def send(self, data):
        self.socket.sendall(data)

    def ask(self, *words):
        self.send(command(*words))
        return self.reply()

    def _fill(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError
        self._buffer += data

    def _take(self, size):
        """The first `size` bytes; the CR LF behind them goes too."""
        taken = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size + 2]
        return taken

    def line(self):
        while b"\r\n" not in self._buffer:
            self._fill()
        return self._take(self._buffer.index(b"\r\n"))

    def reply(self):
        """One reply: its first line, for bulk strings their bytes, for aggregates a list."""
        line = self.line()
        kind, rest = line[:1], line[1:]
        if kind in b"$=":
            size = int(rest)
            if size < 0:
                return None
            while len(self._buffer) < size + 2:
                self._fill()
            return self._take(size)
        if kind in b"*~>":
            return None if int(rest) < 0 else [self.reply() for _ in range(int(rest))]
        if kind == b"%":
            return [self.reply() for _ in range(2 * int(rest))]
        return line

    def until_closed(self):
        """Everything the server sends until it closes."""
        data = bytes(self._buffer)
        try:
            while chunk := self.socket.recv(1 << 16):
                data += chunk
        except ConnectionResetError:
            pass
        return data

    def is_closed(self):
        """Whether the server has closed it; what it sent before is dropped."""
        try:
            return self.socket.recv(1 << 16, socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
