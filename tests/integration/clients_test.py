"""Client libraries as they are: Python's redis always, Node's ioredis where LSMKV_IOREDIS says where it is installed."""

import os
import pathlib
import subprocess
import unittest

import lsmkv_server
from lsmkv_server import Server

KEYS = 2000


class PythonRedis(unittest.TestCase):
    def test_pipeline_scan_and_expiry(self):
        with Server() as server:
            client = server.client(decode_responses=True)
            pipeline = client.pipeline(transaction=False)
            for i in range(KEYS):
                pipeline.set(f"user:{i}", i)
            pipeline.incr("counter").append("text", "ab").append("text", "cd").get("text")
            self.assertEqual(pipeline.execute(), [True] * KEYS + [1, 2, 4, "abcd"])

            self.assertEqual(set(client.scan_iter(match="user:*", count=100)), {f"user:{i}" for i in range(KEYS)})
            self.assertEqual(client.dbsize(), KEYS + 2)

            client.set("short", "x", px=60_000)
            self.assertGreater(client.pttl("short"), 0)
            client.pexpireat("short", 1)
            self.assertIsNone(client.get("short"))

            self.assertEqual(client.delete(*[f"user:{i}" for i in range(KEYS)]), KEYS)
            self.assertEqual(sorted(client.scan_iter()), ["counter", "text"])

    def test_bytes_come_back_as_they_went(self):
        with Server() as server:
            client = server.client()
            every_byte = bytes(range(256))
            client.set(every_byte, every_byte * 4096)
            self.assertEqual(client.get(every_byte), every_byte * 4096)
            self.assertEqual(list(client.scan_iter()), [every_byte])

    def test_info_and_client_list_parse(self):
        with Server() as server:
            client = server.client()
            info = client.info()
            self.assertIn("redis_version", info)
            self.assertEqual(len(client.client_list()), 1)
            self.assertIn("get", client.command())


@unittest.skipUnless(os.environ.get("LSMKV_IOREDIS"), "ioredis is not installed (scripts/test.sh --full does)")
class IoRedis(unittest.TestCase):
    def test_pipeline_and_scan(self):
        script = pathlib.Path(__file__).with_name("ioredis_session.js")
        environment = dict(os.environ, NODE_PATH=os.path.join(os.environ["LSMKV_IOREDIS"], "node_modules"))
        with Server() as server:
            result = subprocess.run(["node", str(script), str(server.port)], env=environment, capture_output=True,
                                    text=True, timeout=lsmkv_server.WAIT_SECONDS, check=False)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


if __name__ == "__main__":
    lsmkv_server.main()
