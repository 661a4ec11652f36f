"""One number, kept: the process stays below memory-budget while more goes through than fits, and INFO memory says what for.

LSMKV_LONG_TESTS=1 sends LSMKV_MEMORY_TEST_GB (3) gigabytes through 256 MB.
"""

import os
import random
import threading
import unittest

import redis

import lsmkv_server
from lsmkv_server import Server, wait_until
from raw_client import RawClient, command

MB = 1 << 20
VALUE_BYTES = 1000
BATCH = 500
READERS = 4
PARTS = ("memtables", "block_cache", "row_cache", "open_tables", "table_records", "wal_buffers", "background", "clients", "other_heap",
         "allocator_overhead", "code")


def memory(client):
    return {name: int(value) for name, value in client.info("memory").items() if isinstance(value, int)}


def resident_bytes(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


class Load:
    """Random keys, values that do not compress, from one pipelining client; readers pipeline GETs beside it."""

    def __init__(self, server, gigabytes):
        self.server = server
        self.keys = int(gigabytes * (1 << 30)) // VALUE_BYTES
        self.pool = random.Random(1).randbytes(1 << 20)
        self.written = 0
        self.done = False
        self.failures = []

    @staticmethod
    def name(key):
        """In no order, so that tables overlap and are merged."""
        return b"key:%010d" % (key * 1000003 % 9999999967)

    def value(self, key):
        at = key * 7919 % (len(self.pool) - VALUE_BYTES)
        return self.pool[at:at + VALUE_BYTES]

    def write(self):
        with RawClient(self.server) as client:
            for start in range(0, self.keys, BATCH):
                batch = range(start, min(start + BATCH, self.keys))
                client.send(b"".join(b"*3\r\n$3\r\nSET\r\n$14\r\n%b\r\n$%d\r\n%b\r\n" % (self.name(key), VALUE_BYTES, self.value(key))
                                     for key in batch))
                for _ in batch:
                    if client.reply() != b"+OK":
                        raise AssertionError("a SET was refused")
                self.written = start + len(batch)

    def read(self, seed):
        draw = random.Random(seed)
        try:
            with RawClient(self.server) as client:
                while not self.done:
                    if self.written == 0:
                        continue
                    keys = [draw.randrange(self.written) for _ in range(32)]
                    client.send(b"".join(b"*2\r\n$3\r\nGET\r\n$14\r\n%b\r\n" % self.name(key) for key in keys))
                    for key in keys:
                        if client.reply() != self.value(key):
                            self.failures.append(key)
        except Exception as error:  # pylint: disable=broad-except
            self.failures.append(error)

    def run(self, readers, in_the_end=lambda: None):
        """`in_the_end` is called while the readers still read."""
        threads = [threading.Thread(target=self.read, args=(seed,)) for seed in range(readers)]
        for thread in threads:
            thread.start()
        try:
            self.write()
            in_the_end()
        finally:
            self.done = True
            for thread in threads:
                thread.join()
        if self.failures:
            raise AssertionError(f"wrong answers: {self.failures[:3]}")


class Memory(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with Server() as server:
            if server.client().info("memory")["mem_allocator"] != "jemalloc":
                raise unittest.SkipTest("a server under a sanitizer has another allocator, and figures of another kind")

    def check_parts(self, client):
        """What the parts add up to is what the kernel says, give or take a tenth."""
        info = memory(client)
        parts = {name: info[f"mem_{name}"] for name in PARTS}
        self.assertEqual(sum(parts.values()), info["mem_parts_sum"])
        resident = info["used_memory_rss"]
        self.assertLess(abs(sum(parts.values()) - resident), resident / 10, f"{parts} of {resident}")
        # And what no part has a name for is little more than it was at the start.
        self.assertLess(parts["other_heap"], info["used_memory_startup"] + 12 * MB, str(parts))
        self.assertEqual(info["mem_unaccounted"], resident - info["mem_parts_sum"])

    def goes_through(self, budget_mb, gigabytes):
        with Server(directives=["--memory-budget", f"{budget_mb}mb"]) as server:
            client = server.client()
            load = Load(server, gigabytes)
            load.run(READERS, lambda: self.check_parts(client))
            info = memory(client)
            self.assertEqual(info["memory_budget"], budget_mb * MB)
            self.assertGreater(info["mem_block_cache"], 0)
            self.assertGreater(info["mem_block_cache_filters"], 0)
            self.assertLessEqual(info["mem_block_cache"], info["mem_block_cache_limit"])
            peak = resident_bytes(server)
            self.assertLess(peak, budget_mb * MB)
            self.assertLess(abs(info["used_memory_rss_peak"] - peak), 2 * MB)
            self.check_parts(client)
            print(f"\n{gigabytes} GB through a budget of {budget_mb} MB: resident at most {peak / MB:.1f} MB; "
                  + ", ".join(f"{name} {info['mem_' + name] / MB:.1f}" for name in PARTS))

    def test_more_than_the_budget_goes_through_it(self):
        self.goes_through(64, 0.15)

    @unittest.skipUnless(os.environ.get("LSMKV_LONG_TESTS"), "LSMKV_LONG_TESTS is not set")
    def test_gigabytes_go_through_it(self):
        self.goes_through(256, float(os.environ.get("LSMKV_MEMORY_TEST_GB", "3")))

    def test_the_budget_changes_at_run_time(self):
        with Server(directives=["--memory-budget", "64mb"]) as server:
            client = server.client()
            small = memory(client)
            self.assertEqual(client.config_get("memory-budget")["memory-budget"], str(64 * MB))
            self.assertTrue(client.config_set("memory-budget", "256mb"))
            large = memory(client)
            self.assertEqual(large["memory_budget"], 256 * MB)
            for part in ("memtables", "block_cache", "clients", "open_tables"):
                self.assertGreater(large[f"mem_{part}_limit"], small[f"mem_{part}_limit"])
            Load(server, 0.1).run(1)
            self.assertGreater(memory(client)["mem_block_cache"], 0)
            self.assertTrue(client.config_set("memory-budget", "32mb"))
            info = memory(client)
            self.assertLessEqual(info["mem_block_cache"], info["mem_block_cache_limit"])
            wait_until(lambda: memory(client)["used_memory_rss"] < 64 * MB, "what was cached is given back")
            Load(server, 0.05).run(1)
            with self.assertRaisesRegex(redis.ResponseError, "memory-budget.*31mb is too small, allowed is 32mb or more"):
                client.config_set("memory-budget", "31mb")
            with self.assertRaisesRegex(redis.ResponseError, "memory-budget.*32mb is too small for block-cache-mb 100"):
                client.config_set("block-cache-mb", "100")
            self.assertEqual(memory(client)["memory_budget"], 32 * MB)

    def test_redis_fields(self):
        with Server() as server:
            info = server.client().info("memory")
            for name in ("used_memory", "used_memory_human", "used_memory_rss", "used_memory_rss_human", "used_memory_peak",
                         "used_memory_peak_human", "used_memory_peak_perc", "used_memory_dataset_perc", "total_system_memory",
                         "maxmemory", "maxmemory_policy", "mem_fragmentation_ratio", "mem_allocator"):
                self.assertIn(name, info)
            self.assertRegex(info["used_memory_human"], r"^\d+\.\d\d[KMG]$")
            self.assertRegex(str(info["used_memory_peak_perc"]), r"^\d+\.\d\d%$")
            self.assertGreaterEqual(info["used_memory_peak"], info["used_memory"])

    def test_many_clients_with_large_arguments_share_their_part(self):
        """40 clients with 1 MB each, through a part of 4 MB, all at once; each is answered, and others are served."""
        with Server(directives=["--memory-budget", "64mb", "--maxmemory-clients", "4mb"]) as server:
            witness = server.client()
            value = b"v" * MB
            clients = [RawClient(server) for _ in range(40)]
            threads = [threading.Thread(target=client.send, args=(command("SET", f"large:{i}", value),))
                       for i, client in enumerate(clients)]
            most = 0
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                most = max(most, int(memory(witness)["mem_clients"]))
            for thread in threads:
                thread.join()
            for client in clients:
                self.assertEqual(client.reply(), b"+OK")
                client.close()
            # The part, and the favoured argument of each loop, in a buffer that grows by half.
            self.assertLess(most, (4 + 4 * 2) * MB)
            self.assertEqual(witness.strlen("large:39"), MB)


if __name__ == "__main__":
    lsmkv_server.main()
