"""LSM SCRUB and damage in the files: found by the scrub, told by file and offset, and an error for the keys concerned."""

import glob
import os
import unittest

import redis

import lsmkv_server
from lsmkv_server import Server, wait_until


def flip_byte(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def scrub(client):
    flat = client.execute_command("LSM", "SCRUB")
    return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}


class Scrub(unittest.TestCase):
    def test_damage_is_found_and_told(self):
        with Server() as server:
            client = server.client()
            for i in range(2000):
                client.set(f"key:{i}", f"value of {i}")
            client.set("large", "x" * 20000)
            self.assertTrue(client.execute_command("LSM", "COMPACT"))
            clean = scrub(client)
            self.assertEqual(clean["damage"], 0)
            self.assertEqual(clean["damaged"], [])
            self.assertEqual(clean["sstables"], 1)
            self.assertEqual(clean["blob_files"], 1)
            self.assertGreaterEqual(clean["entries"], 2001)

            pattern = os.path.join(server.directory, "data", "sst", "*.sst")
            wait_until(lambda: len(glob.glob(pattern)) == 1, "what was merged is removed")
            [table] = glob.glob(pattern)
            [blob] = glob.glob(os.path.join(server.directory, "data", "blob", "*.blob"))
            flip_byte(table, os.path.getsize(table) // 2)
            flip_byte(blob, 60)
            found = scrub(client)
            self.assertEqual(found["damage"], 2)
            messages = b"\n".join(found["damaged"]).decode()
            self.assertRegex(messages, f"{table}: offset [0-9]+: block checksum does not match")
            self.assertIn(f"{blob}: offset 32: record checksum does not match", messages)
            lsmkv_server.wait_until(lambda: f"{table}: offset " in server.log_text(), "the log names the damage")
            self.assertIn("[scrub]", server.log_text())

            figures = client.info("lsm")
            self.assertEqual(figures["scrubs"], 2)
            self.assertEqual(figures["scrub_damage"], 2)
            self.assertGreater(figures["scrub_bytes"], 0)
            self.assertGreater(figures["last_scrub_time"], 1_600_000_000)
            self.assertEqual(figures["scrub_running"], 0)

            # After a restart nothing of it is in memory.
            server.restart()
            client = server.client()
            self.assertEqual(client.info("lsm")["scrub_damage"], 2)
            self.assertGreater(client.info("lsm")["last_scrub_time"], 1_600_000_000)
            with self.assertRaisesRegex(redis.ResponseError, f"corruption: {blob}: offset 32"):
                client.get("large")
            wrong = errors = 0
            for i in range(2000):
                try:
                    wrong += client.get(f"key:{i}") != f"value of {i}".encode()
                except redis.ResponseError as error:
                    self.assertIn(f"corruption: {table}: offset ", str(error))
                    errors += 1
            self.assertEqual(wrong, 0)
            self.assertGreater(errors, 0)
            self.assertLess(errors, 1000)

    def test_damage_in_the_log_is_found_before_a_start_and_costs_nothing(self):
        with Server(directives=["--wal-fsync", "always"]) as server:
            log = os.path.join(server.directory, "data", "wal")
            for what, pattern, offset in (("a segment", "wal_[0-9]*.log", 200), ("a batch beside the log", "aside_*.ops", 4_000_000)):
                with self.subTest(what):
                    client = server.client()
                    for i in range(100):
                        client.set(f"{what}:{i}", f"value of {i}")
                    client.set(f"{what}:large", what * 500_000)
                    server.restart()                             # what was written is in a closed segment now
                    client = server.client()
                    client.set(f"{what}:after", "after")
                    clean = scrub(client)
                    self.assertEqual(clean["damage"], 0)
                    self.assertGreaterEqual(clean["log_segments"], 2)
                    self.assertEqual(clean["aside_files"], 1)
                    self.assertGreaterEqual(clean["log_batches"], 102)
                    path = sorted(p for p in glob.glob(os.path.join(log, pattern)) if os.path.getsize(p) > offset)[0]
                    flip_byte(path, offset)
                    found = scrub(client)
                    self.assertEqual(found["damage"], 1)
                    self.assertRegex(found["damaged"][0].decode(), f"{path}: offset [0-9]+: .*Nothing is lost: .*flushed into tables")
                    self.assertEqual(client.info("lsm")["scrub_damage"], 1)
                    lsmkv_server.wait_until(lambda: f"{path}: offset " in server.log_text(), "the log names the damage")
                    self.assertEqual(scrub(client)["damage"], 0)
                    server.kill()
                    server.start()
                    client = server.client()
                    self.assertEqual([client.get(f"{what}:{i}") for i in range(100)], [b"value of %d" % i for i in range(100)])
                    self.assertEqual(client.get(f"{what}:large"), (what * 500_000).encode())
                    self.assertEqual(client.get(f"{what}:after"), b"after")

    def test_a_server_that_cannot_read_its_databases_says_what_to_do(self):
        with Server() as server:
            server.client().set("k", "v")
            server.client().execute_command("LSM", "COMPACT")
            server.stop()
            [table] = glob.glob(os.path.join(server.directory, "data", "sst", "*.sst"))
            flip_byte(table, 3)
            with self.assertRaisesRegex(AssertionError, f"{table}: offset 0: .*lsmkv-tool repair"):
                server.start()

    def test_the_interval_can_be_changed(self):
        with Server() as server:
            client = server.client()
            self.assertEqual(client.config_get("scrub-interval"), {"scrub-interval": "604800"})
            client.set("k", "v")
            client.execute_command("LSM", "FLUSH")
            client.config_set("scrub-interval", 1)
            lsmkv_server.wait_until(lambda: client.info("lsm")["scrubs"] >= 2, "it scrubs by itself, again and again")
            self.assertEqual(client.info("lsm")["scrub_damage"], 0)
            client.config_set("scrub-interval", 0)


if __name__ == "__main__":
    lsmkv_server.main()
