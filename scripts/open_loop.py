"""An open loop over the Redis protocol: SETs of random keys at a fixed rate, whether or not the answers keep up, and how long each took
from the moment it was to be sent. A client that waits for answers before it goes on (a closed loop) stops asking while the server stands
still, and so hardly measures that it did: "coordinated omission" (Tene).

Requests that are due leave together, up to CHUNK on a connection at a time; their latency counts from the first of them.
"""

import collections
import gc
import random
import select
import socket
import time

CHUNK = 4                  # requests sent on a connection at a time
POLL_SECONDS = 0.001
DRAIN_SECONDS = 60         # for answers still missing at the end
VALUES = 256               # different ones
OK = b"+OK\r\n"


def make_values(size, seed=1):
    """Values of which a half can be compressed away."""
    source = random.Random(seed)
    return [source.randbytes(size - size // 2) + b"x" * (size // 2) for _ in range(VALUES)]


def make_requests(count, keys, values):
    """`count` SETs of keys that are drawn from `keys`, one after the other."""
    size = len(values[0])
    middle = b"\r\n$%d\r\n" % size
    draw = random.random
    return b"".join(b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d%s%s\r\n" % (int(draw() * keys), middle, values[int(draw() * VALUES)]) for _ in range(count))


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.unsent = b""
        self.waiting = collections.deque()      # [when it was to be sent, how many of them]
        self.partial = b""

    def send(self, data):
        data = self.unsent + data if self.unsent else data
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        self.unsent = data[sent:] if sent < len(data) else b""

    def receive(self):
        """How many requests have been answered."""
        received = self.socket.recv(65536)
        if not received:
            raise SystemExit("bench: the server hung up")
        data = self.partial + received
        count = len(data) // len(OK)
        if data[: count * len(OK)] != OK * count or data[count * len(OK):] != OK[: len(data) % len(OK)]:
            raise SystemExit(f"bench: the server answered {data[:200]!r}")
        self.partial = data[count * len(OK):]
        return count


class Clients:
    """Some connections that send SETs in turn."""

    def __init__(self, port, connections, keys, values):
        self.links = [Connection(port) for _ in range(connections)]
        self.keys = keys
        self.values = values
        self.turn = 0
        self.poll = select.epoll()
        self.by_number = {link.socket.fileno(): link for link in self.links}
        for number in self.by_number:
            self.poll.register(number, select.EPOLLIN)

    def send(self, when, count):
        """`count` requests on the next connection, that were to be sent at `when`."""
        link = self.links[self.turn]
        self.turn = (self.turn + 1) % len(self.links)
        link.waiting.append([when, count])
        link.send(make_requests(count, self.keys, self.values))

    def answers(self):
        """What has been answered, or is within POLL_SECONDS: pairs of when it was to be sent and how many."""
        for number, _ in self.poll.poll(POLL_SECONDS):
            link = self.by_number[number]
            count = link.receive()
            while count > 0:
                first = link.waiting[0]
                of_these = min(count, first[1])
                yield first[0], of_these
                count -= of_these
                first[1] -= of_these
                if first[1] == 0:
                    link.waiting.popleft()
        for link in self.links:
            if link.unsent:
                link.send(b"")

    def close(self):
        for link in self.links:
            link.socket.close()


class Outcome:
    """What came of it, by the second in which requests were to be sent."""

    def __init__(self, rate, seconds):
        self.rate = rate
        self.answered = [0] * seconds            # by the second of the answer
        self.slowest = [0.0] * seconds           # by the second of the request
        self.counts = collections.Counter()      # latency in tenths of a millisecond
        self.late = 0.0                          # the generator itself, at most

    def add(self, second_asked, second_answered, latency, count):
        if second_answered < len(self.answered):
            self.answered[second_answered] += count
        self.slowest[second_asked] = max(self.slowest[second_asked], latency)
        self.counts[int(latency * 1e4)] += count

    def percentile(self, share):
        """In milliseconds."""
        left = sum(self.counts.values()) * share
        for tenths in sorted(self.counts):
            left -= self.counts[tenths]
            if left <= 0:
                return (tenths + 1) / 10
        return 0.0

    def figures(self):
        shares = [answered / self.rate for answered in self.answered]
        return {"rate": self.rate, "seconds": len(shares), "p50_ms": self.percentile(0.5), "p99_ms": self.percentile(0.99),
                "p99.9_ms": self.percentile(0.999), "slowest_ms": max(self.slowest) * 1e3, "worst_second": min(shares),
                "seconds_below_90": sum(share < 0.9 for share in shares), "generator_late_ms": self.late * 1e3}


def highest_rate(port, count, keys, values, connections, in_flight=16):
    """A closed loop with `in_flight` requests a connection: `count` requests, and how many of them a second were answered."""
    clients = Clients(port, connections, keys, values)
    start = time.monotonic()
    asked, answered = 0, 0
    while answered < count:
        while asked < min(count, answered + connections * in_flight):
            clients.send(start, min(CHUNK, count - asked))
            asked += min(CHUNK, count - asked)
        answered += sum(of_these for _, of_these in clients.answers())
    clients.close()
    return count / (time.monotonic() - start)


def run(port, rate, seconds, keys, values, connections):
    """`rate` requests a second for `seconds`; every one of them has been answered when it returns."""
    clients = Clients(port, connections, keys, values)
    outcome = Outcome(rate, seconds)
    gc.collect()
    gc.disable()
    start = time.monotonic()
    total, asked, answered = rate * seconds, 0, 0
    previous = start
    while answered < total:
        now = time.monotonic()
        outcome.late = max(outcome.late, now - previous - POLL_SECONDS) if asked < total else outcome.late
        previous = now
        if now - start > seconds + DRAIN_SECONDS:
            raise SystemExit(f"bench: {total - answered} requests had no answer {DRAIN_SECONDS} s after the last was sent")
        due = min(int((now - start) * rate) + 1, total)
        while asked < due:
            count = min(CHUNK, due - asked)
            clients.send(start + asked / rate, count)
            asked += count
        for when, count in clients.answers():
            now = time.monotonic()
            outcome.add(int(when - start), int(now - start), now - when, count)
            answered += count
    gc.enable()
    clients.close()
    return outcome
