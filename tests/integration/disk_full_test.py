"""A full disk: a small tmpfs, where one can be mounted. Writes that add data are refused at once, reads and deletions go on with
what is kept for them, and writing resumes by itself when there is room, without a restart. No acknowledged write is lost."""

import os
import subprocess
import sys
import tempfile
import time
import unittest

import lsmkv_server
import redis
from lsmkv_server import Server, wait_until
from raw_client import RawClient, command

DISK_MB = 48
TINY = ["--memtable-size-mb", "1", "--max-memory-mb", "4", "--base-level-size-mb", "2", "--max-sstable-size-mb", "1",
        "--level-ratio", "4", "--compression", "none", "--min-blob-size", "16kb"]


class Disk:
    """A file system of its own; `self.place` is where."""

    def __init__(self, megabytes=DISK_MB):
        self.place = tempfile.mkdtemp(prefix="lsmkv-disk-")
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", self.place]
        self.mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0

    def free_bytes(self):
        info = os.statvfs(self.place)
        return info.f_bavail * info.f_frsize

    def ballast(self):
        return os.path.join(self.place, "ballast")

    def fill(self, leave_bytes):
        """Takes up all but so much; the file grows when it is there already."""
        with open(self.ballast(), "ab") as file:
            while (more := self.free_bytes() - leave_bytes) > 0:
                try:
                    file.write(b"\0" * min(more, 1 << 20))
                    file.flush()
                except OSError:
                    break

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.mounted:
            subprocess.run(["umount", self.place], check=True)
        os.rmdir(self.place)


def field(client, section, name):
    return client.info(section)[name]


class DiskFull(unittest.TestCase):
    def setUp(self):
        self.disk = Disk()
        self.fillers = 0
        self.addCleanup(self.disk.__exit__)
        if not self.disk.mounted:
            print(f"SKIPPED {self.id()}: no tmpfs can be mounted here; faults_test.py's ENOSPC is what is left", file=sys.stderr)
            self.skipTest("no tmpfs can be mounted here")
        logs = tempfile.TemporaryDirectory(prefix="lsmkv-logs-")
        self.addCleanup(logs.cleanup)
        self.server = Server(directory=self.disk.place, directives=TINY, log_directory=logs.name)
        self.addCleanup(self.server.kill)

    def _write(self, client, i, size):
        """None: acknowledged. Else the error."""
        try:
            client.set(f"k:{i}", self._value(i, size))
            return None
        except redis.ResponseError as error:
            return str(error)

    def _value(self, i, size):
        return (b"<%d>" % i * (size // 3))[:size]

    def _fill_until_refused(self, client, size, first=0):
        """Returns how many keys were acknowledged; and checks that the refusal comes at once and says why."""
        begin = time.monotonic()
        for i in range(first, 10_000_000):
            sent = time.monotonic()
            error = self._write(client, i, size)
            if error:
                self.assertRegex(error, "^MISCONF .*(disk-reserve|No space left)")
                self.assertLess(time.monotonic() - sent, 2)
                return i
            self.assertLess(time.monotonic() - begin, 120, "the disk is never full")
        raise AssertionError

    def _fill_until_full(self, client, size, first=0):
        """The same until nothing more passes for a second: what a flush or a compaction gives back is written full again."""
        count, refused_at = first, None
        deadline = time.monotonic() + 60
        while refused_at is None or time.monotonic() - refused_at < 1:
            self.assertLess(time.monotonic(), deadline, f"the disk is never full for a second: {client.info('lsm')}, "
                                                        f"{client.info('persistence')}")
            before = count
            count = self._fill_until_refused(client, size, first=count)
            while self._write_filler(client):           # small ones pass where large ones do not
                pass
            refuses = field(client, "persistence", "aof_last_write_status") == "err"    # the disk is low, or compaction waits for room
            refused_at = (refused_at or time.monotonic()) if count == before and refuses else None
        return count

    def _write_filler(self, client):
        try:
            self.fillers += 1
            return client.set(f"filler:{self.fillers}", b"f" * 1000)
        except redis.ResponseError:
            return False

    def _check(self, client, count, size, deleted=()):
        for i in range(count):
            value = client.get(f"k:{i}")
            if i in deleted:
                self.assertIsNone(value, i)
            else:
                self.assertEqual(value, self._value(i, size), i)

    def _low(self, client):
        return field(client, "lsm", "disk_low") == 1

    def _round(self, size):
        self.server.start()
        client = self.server.client()
        count = self._fill_until_full(client, size)
        self.assertGreater(count * size, 4 << 20)

        # Refused: what adds data. Served: reads, and what makes room.
        for words in (["SET", "x", "1"], ["MSET", "x", "1", "y", "2"], ["INCR", "n"], ["APPEND", "k:0", "x"]):
            with self.assertRaisesRegex(redis.ResponseError, "^MISCONF "):
                client.execute_command(*words)
        self._check(client, count, size)
        self.assertEqual(field(client, "persistence", "aof_last_write_status"), "err")
        self.assertIn("free", field(client, "persistence", "write_error"))
        # Nothing of a transaction that is refused has happened.
        with client.pipeline() as transaction:
            transaction.config_set("slowlog-max-len", "77")
            transaction.set("x", "1")
            with self.assertRaisesRegex(redis.ResponseError, "MISCONF "):
                transaction.execute()
        self.assertNotEqual(client.config_get("slowlog-max-len"), {"slowlog-max-len": "77"})
        deleted = set(range(0, count, 10))
        for i in deleted:
            self.assertEqual(client.delete(f"k:{i}"), 1)
        self.assertEqual(client.unlink("k:1"), 1)
        self.assertEqual(client.getdel("k:2"), self._value(2, size))
        self.assertEqual(client.expire("k:3", 10_000), 1)
        deleted |= {1, 2}
        self._check(client, count, size, deleted)

        # Killed while the disk is full, it starts and serves.
        self.server.kill()
        self.server.start()
        client = self.server.client()
        self._check(client, count, size, deleted)
        self.assertEqual(client.ttl("k:3") > 9000, True)
        return client, count, deleted

    def _room_again(self, client):
        """Room is what the operator makes, by removing another file."""
        def written():
            try:
                return client.set("resumed", "1")
            except redis.ResponseError:
                return False
        wait_until(written, "writing resumes", 10)

    def test_small_values_fill_the_disk(self):
        self._fill_and_resume(500)

    def test_large_values_fill_the_disk(self):
        self._fill_and_resume(100_000)

    def _fill_and_resume(self, size):
        self.disk.fill(28 << 20)
        client, count, deleted = self._round(size)
        os.remove(self.disk.ballast())
        self._room_again(client)
        wait_until(lambda: not self._low(client), "the disk is not low any more")
        self.assertEqual(field(client, "persistence", "aof_last_write_status"), "ok")
        # Compactions that waited for room may still be catching up: one such write passes soon, not necessarily at once.
        errors = set()
        wait_until(lambda: errors.add(self._write(client, count, size)) or None in errors, f"writing resumes: {errors}", 20)
        more = self._fill_until_full(client, size, first=count + 1)
        self.assertGreater(more, count)
        self._check(client, more, size, deleted)
        client.flushall()
        wait_until(lambda: not self._low(client), "what FLUSHALL dropped is room")
        self._room_again(client)
        self.assertEqual(client.dbsize(), 1)
        self.server.stop()
        log = self.server.log_text()
        self.assertIn("writes that add data are refused until there is room", log)
        self.assertIn("all writes are taken again", log)
        self._no_damage()

    def test_without_a_byte_left_everything_is_refused_but_reads_and_comes_back(self):
        """Another program takes the reserve too."""
        self.server.start()
        client = self.server.client()
        for i in range(2000):
            self.assertIsNone(self._write(client, i, 500))
        self.disk.fill(0)
        count = self._fill_until_refused(client, 500, first=2000)
        self._check(client, 2000, 500)
        self.server.kill()
        self.server.start()
        client = self.server.client()
        self._check(client, count, 500)
        with self.assertRaisesRegex(redis.ResponseError, "^MISCONF "):
            self._fill_until_refused(client, 500, first=count)
            client.set("x", "1")
        self._check(client, count, 500)
        os.remove(self.disk.ballast())
        self._room_again(client)
        self.server.kill()
        self.server.start()
        client = self.server.client()
        self._check(client, count, 500)
        self.assertEqual(client.get("resumed"), b"1")
        self.server.stop()
        self._no_damage()

    def test_pipelines_of_many_clients_meet_a_full_disk_and_every_reply_is_true(self):
        self._meet_a_full_disk()

    def test_so_it_is_where_every_write_is_synced(self):
        self.server.set_directives([*TINY, "--wal-fsync", "always"])
        self._meet_a_full_disk()

    def _meet_a_full_disk(self):
        self.disk.fill(12 << 20)
        self.server.start()
        clients = [RawClient(self.server) for _ in range(6)]
        acknowledged = set()
        refused = False
        for batch in range(2000):
            for c, client in enumerate(clients):
                client.send(b"".join(command("SET", f"{c}:{batch}:{i}", self._value(i, 1000)) for i in range(20)))
            for c, client in enumerate(clients):
                for i in range(20):
                    reply = client.reply()
                    if reply == b"+OK":
                        acknowledged.add((c, batch, i))
                    else:
                        self.assertTrue(reply.startswith(b"-MISCONF "), reply)
                        refused = True
            if refused:
                break
        self.assertTrue(refused)
        for client in clients:
            client.close()
        self.server.kill()
        self.server.start()
        with RawClient(self.server) as client:
            for c, batch, i in acknowledged:
                self.assertEqual(client.ask("GET", f"{c}:{batch}:{i}"), self._value(i, 1000))
        self.server.kill()
        self._no_damage()

    def _no_damage(self):
        tool = os.environ.get("LSMKV_TOOL") or os.path.join(os.path.dirname(lsmkv_server.binary()), "lsmkv-tool")
        done = subprocess.run([tool, "check", os.path.join(self.disk.place, "data")], capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])


if __name__ == "__main__":
    lsmkv_server.main()
