"""Values of megabytes that lie in blob files, through a small memory budget: sent from where they lie, few at a time, none damaged."""

import random
import socket
import threading
import unittest

import lsmkv_server
from lsmkv_server import Server
from raw_client import RawClient, command

MB = 1 << 20
BUDGET_MB = 64
VALUE_MB = 24
CLIENTS = 8


def value(number):
    """Every other one does not compress."""
    piece = random.Random(number).randbytes(MB) if number % 2 else bytes([65 + number]) * MB
    return b"%d:" % number + piece * VALUE_MB


def status_bytes(server, name):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    raise AssertionError(f"no {name}")


class LargeValues(unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext(Server(directives=["--memory-budget", f"{BUDGET_MB}mb"]))
        self.client = self.enterContext(RawClient(self.server))
        for number in range(CLIENTS):
            self.assertEqual(self.client.ask("SET", f"large{number}", value(number)), b"+OK")
        self.assertEqual(self.client.ask("LSM", "FLUSH"), b"+OK")

    def read(self, number, results, hurry):
        with RawClient(self.server) as client:
            client.send(command("GET", f"large{number}"))
            if not hurry:
                client.socket.recv(1, socket.MSG_PEEK)
            results[number] = client.reply() == value(number)

    def read_together(self):
        results = {}
        threads = [threading.Thread(target=self.read, args=(number, results, number % 3)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, {number: True for number in range(CLIENTS)})

    def test_many_at_once_are_in_memory_a_few_at_a_time(self):
        with open(f"/proc/{self.server.process.pid}/clear_refs", "w", encoding="ascii") as peak:
            peak.write("5")
        before = status_bytes(self.server, "VmRSS")
        self.read_together()
        used = status_bytes(self.server, "VmHWM") - before
        if self.server.client().info("memory")["mem_allocator"] == "jemalloc":     # else it is under a sanitizer
            self.assertLess(used, 4 * VALUE_MB * MB, f"{used / MB:.0f} MB for {CLIENTS} values of {VALUE_MB} MB")
        self.assertEqual(self.client.ask("GET", "nothing"), None)

    def test_parts_and_several_and_what_is_written_meanwhile(self):
        self.assertEqual(self.client.ask("GETRANGE", "large1", 5 * MB, 5 * MB + 9), value(1)[5 * MB:5 * MB + 10])
        self.assertEqual(self.client.ask("GETRANGE", "large1", 1, -1), value(1)[1:])
        self.assertEqual(self.client.ask("MGET", "large0", "nothing", "large3"), [value(0), None, value(3)])
        # A reply that has begun is of the value as it was.
        with RawClient(self.server) as slow:
            slow.send(command("GET", "large5") + command("GET", "large5"))
            self.assertEqual(slow.line(), b"$%d" % len(value(5)))
            self.assertEqual(self.client.ask("SET", "large5", "new"), b"+OK")
            self.assertEqual(self.client.ask("LSM", "FLUSH"), b"+OK")
            self.assertEqual(self.client.ask("LSM", "COMPACT"), b"+OK")
            slow._buffer[:0] = b"$%d\r\n" % len(value(5))
            self.assertEqual(slow.reply(), value(5))
            self.assertEqual(slow.reply(), b"new")
        self.assertEqual(self.client.ask("GETDEL", "large7"), value(7))
        self.assertEqual(self.client.ask("GET", "large7"), None)
        self.assertEqual(self.client.ask("MULTI"), b"+OK")
        self.client.ask("GET", "large1")
        self.client.ask("STRLEN", "large0")
        self.assertEqual(self.client.ask("EXEC"), [value(1), b":%d" % len(value(0))])

    def test_who_only_looks_at_large_values_does_not_wait_for_those_who_read_them(self):
        with RawClient(self.server) as slow:
            slow.send(command("GET", "large0"))
            slow.socket.recv(1, socket.MSG_PEEK)
            self.assertEqual(self.client.ask("EXISTS", "large1", "large3"), b":2")
            self.assertEqual(self.client.ask("TTL", "large5"), b":-1")
            self.assertEqual(self.client.ask("TYPE", "large7"), b"+string")
            self.assertEqual(self.client.ask("STRLEN", "large2"), b":%d" % len(value(2)))
            self.assertEqual(self.server.client().info("stats")["large_reads_put_off"], 0)
            self.assertEqual(slow.reply(), value(0))


if __name__ == "__main__":
    lsmkv_server.main()
