"""The real server with a system that fails it: a sync of the log that fails, or takes long, a wall clock that jumps, reads and writes that stop half-way.
And a test of the tests: a server that only says it has written its log does not survive kill -9, and the torture test's model says so.

The faults come from a library that is preloaded (fault_shim.cpp); LSMKV_FAULT_SHIM names it.
"""

import glob
import os
import tempfile
import threading
import unittest

import lsmkv_server
import redis
from lsmkv_server import Server, wait_until
from raw_client import RawClient, command
from scrub_test import flip_byte
from torture_test import Run, TorturedServer

LONG = "LSMKV_LONG_TESTS" in os.environ
SHIM = os.environ.get("LSMKV_FAULT_SHIM")
if SHIM and not os.path.exists(SHIM):            # the loader would only warn
    raise SystemExit(f"LSMKV_FAULT_SHIM: there is no {SHIM}")


def info(client, section, field):
    return client.info(section)[field]


@unittest.skipUnless(SHIM, "LSMKV_FAULT_SHIM does not say where the library of faults is")
class Faults(unittest.TestCase):
    def _server(self, *directives, config=None):
        server = Server(directives=directives, config=config)
        faults = os.path.join(server.directory, "faults")
        os.mkdir(faults)
        self.faults = faults
        server.environment({"LD_PRELOAD": SHIM, "LSMKV_FAULTS": faults})
        return server

    def _set_fault(self, name, text):
        path = os.path.join(self.faults, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(str(text))
        os.rename(path + ".new", path)

    def _end_fault(self, name):
        os.remove(os.path.join(self.faults, name))

    def test_after_a_failed_sync_of_the_log_no_write_is_taken_and_everybody_says_why(self):
        for mode in ("always", "everysec"):
            with self.subTest(mode=mode), self._server("--wal-fsync", mode) as server:
                client = server.client()
                client.set("before", "1")
                self._set_fault("fail", "sync EIO /wal/wal_")

                def refused():
                    try:
                        client.set("during", "1")
                    except redis.ResponseError as error:
                        return str(error)
                    return None
                error = wait_until(refused, "a write is refused")
                self.assertTrue(error.startswith("MISCONF "), error)
                self.assertRegex(error, r"wal_\d+\.log.*Input/output error")
                self._end_fault("fail")
                # The disk works again, and nothing is taken: what it had not synced may be gone.
                for words in (["SET", "a", "1"], ["INCR", "n"], ["DEL", "before"], ["EXPIRE", "before", "10"], ["FLUSHALL"],
                              ["MSET", "a", "1", "b", "2"], ["SET", "large", "x" * 100_000]):
                    with self.assertRaisesRegex(redis.ResponseError, "^MISCONF .*Input/output error"):
                        client.execute_command(*words)
                self.assertEqual(client.get("before"), b"1")
                self.assertEqual(info(client, "persistence", "aof_last_write_status"), "err")
                self.assertIn("Input/output error", info(client, "persistence", "write_error"))
                wait_until(lambda: "no more writes are taken" in server.log_text(), "the log says so")
                server.kill()
                server.start()
                client = server.client()
                self.assertEqual(client.get("before"), b"1")
                client.set("after", "1")
                self.assertEqual(info(client, "persistence", "aof_last_write_status"), "ok")

    SMALL = ["--memtable-size", "500", "--memtable-size-mb", "1", "--max-open-sstables", "4", "--block-cache-mb", "1", "--row-cache-percent", "0",
             "--max-sstable-size-mb", "1", "--min-blob-size", "16kb", "--compression", "none"]
    # A call, its error, and of which files; none of them ends the taking of writes for good.
    PASSING = ["sync EIO /sst/", "sync ENOSPC /sst/", "sync EIO /blob/", "sync EIO /manifest_", "sync ENOSPC /manifest_", "sync-dir EIO /data",
               "rename EIO /manifest_", "rename ENOSPC /manifest_", "write EIO /sst/", "write ENOSPC /sst/", "write ENOSPC /wal/wal_",
               "write ENOSPC /data/", "read EIO /sst/", "read EIO /blob/", "open EIO /sst/", "open EMFILE /data/"]

    def test_what_fails_for_a_while_loses_nothing_and_says_so(self):
        for i, fault in enumerate(self.PASSING):
            for mode in ("everysec", "always") if LONG else (("everysec", "always")[i % 2],):
                with self.subTest(fault=fault, mode=mode), self._server("--wal-fsync", mode, *self.SMALL) as server:
                    self._live_through(server, fault)

    def _live_through(self, server, fault):
        said = {"EIO": "Input/output error", "ENOSPC": "No space left|no space left|disk-reserve", "EMFILE": "Too many open files"}[fault.split()[1]]
        client = RawClient(server)
        self.addCleanup(lambda: client.close())
        written = {}

        def write(i):
            value = b"<%d>" % i * (6000 if i % 100 == 0 else 100)
            answer = client.ask("SET", f"k:{i}", value)
            if answer == b"+OK":
                written[i] = value
                return None
            self.assertRegex(answer, b"^-MISCONF ")
            return answer

        def check():
            for i, value in written.items():
                self.assertEqual(client.ask("GET", f"k:{i}"), value, i)

        def fine(*words):
            wait_until(lambda: client.ask(*words) == b"+OK", f"{words} goes well again")
        for i in range(2000):
            self.assertIsNone(write(i))
        self.assertEqual(client.ask("LSM", "COMPACT"), b"+OK")
        before = len(server.log_text())
        self._set_fault("fail", fault)
        answers = []
        for i in range(2000, 3000):
            if error := write(i):
                answers.append(error)
                if len(answers) > 10:
                    break
        for i in range(0, 2000, 10):
            answer = client.ask("GET", f"k:{i}")
            if answer != written[i]:
                self.assertRegex(answer or b"nothing", b"^-[A-Z]+ ")
                answers.append(answer)
        for words in (["LSM", "FLUSH"], ["LSM", "COMPACT"]):
            answers.append(client.ask(*words))
        self.assertEqual(client.ask("PING"), b"+PONG")
        self.assertRegex(b"\n".join(answers).decode() + server.log_text()[before:], said)
        self._end_fault("fail")
        wait_until(lambda: write(3000) is None, "writes are taken again")
        fine("LSM", "FLUSH")
        fine("LSM", "COMPACT")
        check()
        client.close()
        server.kill()
        server.start()
        client = RawClient(server)
        check()

    def test_a_slow_sync_and_a_slow_write_of_the_log_are_events_of_latency(self):
        delay_ms = 300
        for event, call, mode in (("wal-sync", "sync", "always"), ("wal-write", "write", "no")):
            with self.subTest(event), self._server("--wal-fsync", mode, "--latency-monitor-threshold", str(delay_ms // 2)) as server:
                client = server.client()
                client.set("before", "1")
                client.execute_command("LATENCY", "RESET")
                self._set_fault("slow", f"{call} {delay_ms} /wal/wal_")
                client.set("during", "1")

                def noticed():
                    return {name: figures for name, *figures in client.execute_command("LATENCY", "LATEST")}.get(event.encode())
                seconds, last_ms, worst_ms = wait_until(noticed, f"{event} is an event")
                self._end_fault("slow")
                self.assertLess(abs(seconds - client.time()[0]), 600)
                self.assertTrue(delay_ms <= last_ms <= worst_ms, (last_ms, worst_ms))

    def test_damage_in_closed_segments_of_the_log_is_found_while_flushes_hang_and_costs_nothing(self):
        keys = 650
        with self._server("--wal-fsync", "always", "--memtable-size", "100", "--max-immutable-memtables", "8") as server:
            client = server.client()
            client.set("before", "1")
            client.execute_command("LSM", "FLUSH")
            self._set_fault("slow", "sync 60000 /sst/")
            for i in range(keys):
                client.set(f"key:{i}", f"value of {i}")
            self.assertGreaterEqual(info(client, "lsm", "immutable_memtables"), 6)
            log = os.path.join(server.directory, "data", "wal")
            closed = sorted(glob.glob(os.path.join(log, "wal_0*.log")))[-5:-1]      # the last one is written to
            for path in closed[1::2]:
                flip_byte(path, 1000)
            answer = []
            scrub = threading.Thread(target=lambda: answer.append(server.client().execute_command("LSM", "SCRUB")))
            scrub.start()
            for path in closed[1::2]:
                wait_until(lambda path=path: f"{path}: offset " in server.log_text(), "the log names the damage")
            self.assertEqual(answer, [], "it waits for the flush")
            self._end_fault("slow")
            scrub.join()
            found = dict(zip(answer[0][::2], answer[0][1::2]))
            self.assertEqual(found[b"damage"], 2)
            self.assertGreaterEqual(found[b"log_segments"], 6)
            for path, message in zip(closed[1::2], found[b"damaged"]):
                self.assertRegex(message.decode(), f"^{path}: offset [0-9]+: .*Nothing is lost: .*flushed into tables")
            figures = client.info("lsm")
            self.assertEqual((figures["scrub_damage"], figures["immutable_memtables"], figures["memtable_entries"]), (2, 0, 0))
            self.assertGreaterEqual(figures["flushes"], keys // 100)
            server.kill()
            server.start()
            client = server.client()
            self.assertEqual(client.get("before"), b"1")
            self.assertEqual(client.mget([f"key:{i}" for i in range(keys)]), [b"value of %d" % i for i in range(keys)])
            self.assertNotRegex(server.log_text(), "unsynced tail cut off")

    def test_a_rewrite_of_the_configuration_that_fails_leaves_the_file_as_it_was(self):
        with tempfile.TemporaryDirectory(prefix="lsmkv-config-") as place:
            path = os.path.join(place, "lsmkv.conf")
            text = "# mine\ntimeout 0\n"
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            with self._server(config=path) as server:
                client = server.client()
                client.config_set("timeout", 100)
                for fault in ("write ENOSPC lsmkv.conf", "sync EIO lsmkv.conf", "rename EIO lsmkv.conf"):
                    with self.subTest(fault=fault):
                        self._set_fault("fail", fault)
                        with self.assertRaisesRegex(redis.ResponseError, "No space left|Input/output error|no space left"):
                            client.config_rewrite()
                        self._end_fault("fail")
                        self.assertEqual(os.listdir(place), ["lsmkv.conf"])
                        with open(path, encoding="utf-8") as file:
                            self.assertEqual(file.read(), text)
                client.config_rewrite()
                with open(path, encoding="utf-8") as file:
                    self.assertTrue(file.read().startswith("# mine\ntimeout 100\n"))

    def test_no_reply_leaves_before_the_sync_that_fails(self):
        """In mode always: of many writers' replies each is an error, or its write is there after a kill."""
        with self._server("--wal-fsync", "always") as server:
            clients = [RawClient(server) for _ in range(8)]
            for i, client in enumerate(clients):
                client.send(b"".join(command("SET", f"{i}:{n}", n) for n in range(2000)))
            self._set_fault("fail", "sync EIO /wal/wal_")
            answers = [[client.reply() for _ in range(2000)] for client in clients]
            for client in clients:
                client.close()
            self._end_fault("fail")
            server.kill()
            server.start()
            with RawClient(server) as client:
                for i, replies in enumerate(answers):
                    for n, reply in enumerate(replies):
                        if reply == b"+OK":
                            self.assertEqual(client.ask("GET", f"{i}:{n}"), b"%d" % n)
                        else:
                            self.assertTrue(reply.startswith(b"-MISCONF "), reply)

    def test_a_clock_that_jumps_back_and_forth_loses_no_key_and_brings_none_back(self):
        hour = 3_600_000
        with self._server("--memtable-size", "500", "--dead-max-age", "1") as server:
            client = server.client()
            epoch = client.time()[0]

            def clock_is(offset_ms):
                self._set_fault("clock-offset-ms", offset_ms)
                wait_until(lambda: abs(client.time()[0] - epoch - offset_ms // 1000) < 120, "the clock has jumped")
            client.set("for ever", "1")
            client.set("two hours", "1", px=2 * hour)
            client.set("short", "1", px=500)
            wait_until(lambda: client.get("short") is None, "a deadline passes")
            clock_is(-3 * hour)
            # Deadlines are moments of the wall clock, so they are further away now; nothing that is alive is lost.
            self.assertEqual(client.mget("for ever", "two hours"), [b"1", b"1"])
            self.assertGreater(client.pttl("two hours"), 4 * hour)
            client.set("set in the past", "1", px=hour)
            self.assertLessEqual(client.pttl("set in the past"), hour)
            for i in range(3000):
                client.set(f"fill:{i}", "x" * 100, px=10 * hour)
            client.execute_command("LSM", "COMPACT")
            client.execute_command("BGSAVE")
            self.assertEqual(client.dbsize(), 3003 + client.exists("short"))
            client.info("everything")
            clock_is(0)
            self.assertEqual(client.mget("for ever", "two hours", "set in the past"), [b"1", b"1", None])
            clock_is(5 * hour)
            self.assertEqual(client.mget("for ever", "two hours", "short"), [b"1", None, None])
            client.execute_command("LSM", "COMPACT")
            clock_is(-hour)
            # What compaction has dropped as expired does not come back, and what is there still reads.
            self.assertEqual(client.mget("for ever", "two hours", "short"), [b"1", None, None])
            client.set("after", "1", ex=100)
            self.assertIn(client.ttl("after"), (99, 100))         # rounded
            server.kill()
            server.start()
            client = server.client()
            self.assertEqual(client.mget("for ever", "after"), [b"1", b"1"])
            client.execute_command("LSM", "COMPACT")
            self.assertEqual(client.get("for ever"), b"1")
            server.stop()

    def test_a_checkpoint_made_after_the_clock_went_back_is_the_newest_and_stays(self):
        with self._server() as server:
            client = server.client()
            epoch = client.time()[0]
            client.set("saved", "before")
            self.assertTrue(client.save())
            self._set_fault("clock-offset-ms", -3 * 3_600_000)
            wait_until(lambda: epoch - client.time()[0] > 3600, "the clock has jumped")
            checkpoints = os.path.join(server.directory, "data", "checkpoints")
            for text in (b"after", b"after again"):
                client.set("saved", text)
                self.assertTrue(client.save())
                names = os.listdir(checkpoints)
                self.assertEqual(len(names), 1)                 # checkpoints-kept
                with Server(directives=["--dir", os.path.join(checkpoints, names[0])]) as copy:
                    self.assertEqual(copy.client().get("saved"), text)

    def test_reads_and_writes_that_do_a_part_of_what_they_are_asked_for_change_nothing(self):
        server = TorturedServer()
        self.faults = os.path.join(server.directory, "faults")
        os.mkdir(self.faults)
        server.environment({"LD_PRELOAD": SHIM, "LSMKV_FAULTS": self.faults})
        self._set_fault("short-io", "")
        try:
            run = Run(11, server)
            for number in range(3):
                run.round(number, lambda server, r: server.kill())
            self.assertTrue(os.path.exists(os.path.join(self.faults, "short-io-count")), "it has not happened often")
        finally:
            server.kill()
            server.remove()

    def test_of_the_test_a_server_that_loses_its_log_does_not_pass_the_torture(self):
        server = TorturedServer()
        server.environment({"LD_PRELOAD": SHIM, "LSMKV_LOSE_WRITES": "1"})
        try:
            with self.assertRaisesRegex(AssertionError, "lost|instead of|was counted|nobody wrote it"):
                run = Run(7, server)
                for number in range(5):
                    run.round(number, lambda server, r: server.kill())
        finally:
            server.kill()
            server.remove()


if __name__ == "__main__":
    lsmkv_server.main()
