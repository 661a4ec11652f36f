"""Connections beside each other: order, fairness, limits, and the CLIENT commands."""

import os
import resource
import socket
import time
import unittest

import lsmkv_server
import redis
from lsmkv_server import Server, wait_until
from raw_client import RawClient, command


def info(client, section, field):
    text = client.ask("INFO", section).decode()
    return text.split(field + ":")[1].split("\r\n")[0]


def non_loopback_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))    # sends nothing
            address = probe.getsockname()[0]
        except OSError:
            return None
    return None if address.startswith("127.") else address


class Sessions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def test_a_client_that_does_not_read_is_bounded_and_disturbs_nobody(self):
        value = b"v" * 10000
        with RawClient(self.server) as witness, RawClient(self.server) as glutton:
            self.assertEqual(witness.ask("SET", "big", value), b"+OK")
            memory_before = int(info(witness, "memory", "used_memory"))
            glutton.socket.setblocking(False)
            commands = command("GET", "big") * 100_000        # a gigabyte of replies, if nobody minded
            sent = 0
            slowest = 0.0

            def stuck():
                nonlocal sent, slowest
                try:
                    while sent < len(commands):
                        sent += glutton.socket.send(commands[sent:sent + (1 << 18)])
                except BlockingIOError:
                    pass
                begin = time.monotonic()
                self.assertEqual(witness.ask("PING"), b"+PONG")
                slowest = max(slowest, time.monotonic() - begin)
                return sent == len(commands) or info(witness, "stats", "total_commands_processed")

            progress = [stuck() for _ in range(50)]
            self.assertTrue(progress)
            self.assertLess(int(info(witness, "memory", "used_memory")) - memory_before, 32 << 20)
            self.assertLess(slowest, 0.5)
            # Whoever reads after all gets everything, in order.
            glutton.socket.settimeout(lsmkv_server.WAIT_SECONDS)
            for _ in range(300):
                self.assertEqual(glutton.reply(), value)

    def test_replies_keep_their_order_around_commands_that_read_the_disk(self):
        with RawClient(self.server) as client:
            for i in range(200):
                client.send(command("SET", f"cold:{i}", "x" * 1000 + str(i)))
            for _ in range(200):
                self.assertEqual(client.reply(), b"+OK")
            self.assertEqual(client.ask("LSM", "FLUSH"), b"+OK")
            self.assertEqual(client.ask("CONFIG", "SET", "block-cache-mb", "1"), b"+OK")
            moved = int(info(client, "stats", "commands_moved_to_pools"))
            stream = b"".join(command("ECHO", f"before {i}") + command("GET", f"cold:{i}") + command("INCR", "ordered")
                              for i in range(200))
            client.send(command("DEL", "ordered") + stream)
            client.reply()
            for i in range(200):
                self.assertEqual(client.reply(), b"before %d" % i)
                self.assertEqual(client.reply(), b"x" * 1000 + b"%d" % i)
                self.assertEqual(client.reply(), b":%d" % (i + 1))
            self.assertGreater(int(info(client, "stats", "commands_moved_to_pools")), moved)
            self.assertEqual(client.ask("CONFIG", "SET", "block-cache-mb", "0"), b"+OK")

    def test_a_client_may_go_while_its_command_is_away(self):
        with RawClient(self.server) as witness:
            for _ in range(20):
                client = RawClient(self.server)
                client.send(command("DEBUG", "SLEEP", "0.05") + command("INFO") + command("KEYS", "*"))
                client.close()
            wait_until(lambda: int(info(witness, "clients", "connected_clients")) == 1, "all but the witness are gone")

    def test_client_list_and_kill_see_every_loop(self):
        clients = [RawClient(self.server) for _ in range(8)]
        try:
            for i, client in enumerate(clients):
                self.assertEqual(client.ask("CLIENT", "SETNAME", f"c{i}"), b"+OK")
            listing = clients[0].ask("CLIENT", "LIST").decode()
            for i in range(8):
                self.assertIn(f" name=c{i} ", listing)
            ids = [int(client.ask("CLIENT", "ID")[1:]) for client in clients]
            self.assertEqual(clients[0].ask("CLIENT", "KILL", "ID", ids[5]), b":1")
            wait_until(clients[5].is_closed, "the killed client is closed")
            self.assertEqual(clients[0].ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"), b":6")
            for client in clients[1:]:
                wait_until(client.is_closed, "the killed client is closed")
            clients[0].send(command("CLIENT", "KILL", "ID", ids[0], "SKIPME", "no") + command("PING"))
            self.assertEqual(clients[0].until_closed(), b":1\r\n")
        finally:
            for client in clients:
                client.close()

    def test_pause_holds_writes_until_it_is_over(self):
        with RawClient(self.server) as admin, RawClient(self.server) as writer, RawClient(self.server) as reader:
            self.assertEqual(admin.ask("CLIENT", "PAUSE", "60000", "WRITE"), b"+OK")
            writer.send(command("SET", "paused", "1") + command("GET", "paused"))
            self.assertIsNone(reader.ask("GET", "paused"))
            wait_until(lambda: int(info(admin, "clients", "blocked_clients")) == 1, "the writer waits")
            self.assertEqual(admin.ask("CLIENT", "UNPAUSE"), b"+OK")
            self.assertEqual(writer.reply(), b"+OK")
            self.assertEqual(writer.reply(), b"1")
            begin = time.monotonic()
            self.assertEqual(admin.ask("CLIENT", "PAUSE", "200", "ALL"), b"+OK")
            self.assertEqual(reader.ask("PING"), b"+PONG")
            self.assertGreater(time.monotonic() - begin, 0.15)

    def test_a_paused_client_that_leaves_takes_its_command_with_it(self):
        with RawClient(self.server) as admin:
            self.assertEqual(admin.ask("CLIENT", "PAUSE", "60000", "WRITE"), b"+OK")
            with RawClient(self.server) as writer:
                writer.send(command("SET", "ghost", "1"))
                wait_until(lambda: int(info(admin, "clients", "blocked_clients")) == 1, "the writer waits")
            wait_until(lambda: int(info(admin, "clients", "connected_clients")) == 1, "the writer is gone")
            self.assertEqual(admin.ask("CLIENT", "UNPAUSE"), b"+OK")
            self.assertIsNone(admin.ask("GET", "ghost"))

    def test_reply_off_and_skip(self):
        with RawClient(self.server) as client:
            client.send(command("CLIENT", "REPLY", "SKIP") + command("SET", "quiet", "1") + command("GET", "quiet"))
            self.assertEqual(client.reply(), b"1")
            client.send(command("CLIENT", "REPLY", "OFF") + command("SET", "quiet", "2") + command("NOSUCH")
                        + command("CLIENT", "REPLY", "ON") + command("GET", "quiet"))
            self.assertEqual(client.reply(), b"+OK")
            self.assertEqual(client.reply(), b"2")

    def test_statistics_count_and_reset(self):
        with RawClient(self.server) as client:
            self.assertEqual(client.ask("CONFIG", "RESETSTAT"), b"+OK")
            client.ask("SET", "counted", "1")
            client.ask("INCR", "counted")
            client.ask("GET", "a", "b")
            client.ask("LPUSHX")
            client.ask("SET", "word", "x")
            client.ask("INCR", "word")
            stats = client.ask("INFO", "commandstats", "errorstats").decode()
            self.assertIn("cmdstat_set:calls=2,", stats)
            self.assertRegex(stats, r"cmdstat_get:calls=0,.*rejected_calls=1,failed_calls=0")
            self.assertRegex(stats, r"cmdstat_incr:calls=2,.*rejected_calls=0,failed_calls=1")
            self.assertIn("errorstat_ERR:count=3", stats)
            self.assertEqual(client.ask("CONFIG", "RESETSTAT"), b"+OK")
            self.assertNotIn("cmdstat_set", client.ask("INFO", "commandstats").decode())

    def test_deep_pipelines_in_durable_mode_come_back_whole(self):
        with RawClient(self.server) as client:
            self.assertEqual(client.ask("CONFIG", "SET", "wal-fsync", "always"), b"+OK")
            count = 20000
            client.send(b"".join(command("INCR", "durable") for _ in range(count)))
            for i in range(count):
                self.assertEqual(client.reply(), b":%d" % (i + 1))
            self.assertEqual(client.ask("CONFIG", "SET", "wal-fsync", "everysec"), b"+OK")

    def test_a_client_that_reads_a_byte_at_a_time_gets_everything_and_others_are_served(self):
        value = bytes(i % 251 for i in range(3_000_000))
        with RawClient(self.server) as witness, RawClient(self.server) as slow:
            self.assertEqual(witness.ask("SET", "slowly", value), b"+OK")
            slow.send(command("GET", "slowly"))
            got = bytearray()
            slowest = 0.0
            while len(got) < 3000:
                got += slow.socket.recv(1)
                begin = time.monotonic()
                self.assertEqual(witness.ask("PING"), b"+PONG")
                slowest = max(slowest, time.monotonic() - begin)
            self.assertLess(slowest, 1)
            expected = b"$3000000\r\n" + value + b"\r\n"
            while len(got) < len(expected):
                got += slow.socket.recv(1 << 16)
            self.assertTrue(bytes(got) == expected)


class Limits(unittest.TestCase):
    def test_maxclients(self):
        with Server(directives=["--maxclients", "3"]) as server:
            clients = [RawClient(server)]
            wait_until(lambda: int(info(clients[0], "clients", "connected_clients")) == 1, "whoever asked at the start is gone")
            clients += [RawClient(server) for _ in range(2)]
            for client in clients:
                self.assertEqual(client.ask("PING"), b"+PONG")
            with RawClient(server) as refused:
                self.assertEqual(refused.until_closed(), b"-ERR max number of clients reached\r\n")
            clients.pop().close()
            wait_until(lambda: int(info(clients[0], "clients", "connected_clients")) == 2, "there is room again")
            with RawClient(server) as welcome:
                self.assertEqual(welcome.ask("PING"), b"+PONG")
            for client in clients:
                client.close()

    def test_timeout_closes_idle_clients_only(self):
        with Server(directives=["--timeout", "5"]) as server:
            with RawClient(server) as idle, RawClient(server) as busy:
                self.assertEqual(idle.ask("PING"), b"+PONG")

                def idle_is_gone():
                    self.assertEqual(busy.ask("PING"), b"+PONG")
                    return idle.is_closed()
                wait_until(idle_is_gone, "the idle client is closed")

    def test_timeout_spares_who_reads_and_closes_who_has_quit_and_does_not(self):
        with Server(directives=["--timeout", "4"]) as server, RawClient(server) as busy:
            self.assertEqual(busy.ask("SET", "large", b"x" * 30_000_000), b"+OK")
            reader, quitter = RawClient(server), RawClient(server)
            reader.send(command("GET", "large"))
            quitter.send(command("GET", "large") + command("QUIT"))
            taken = 0
            started = time.monotonic()
            while time.monotonic() < started + 8:                         # twice the limit, a little at a time
                taken += len(reader.socket.recv(100_000))
                self.assertEqual(busy.ask("PING"), b"+PONG")
                time.sleep(0.02)
            while taken < 30_000_000 + len("$30000000\r\n\r\n"):
                taken += len(reader.socket.recv(1 << 20))
            wait_until(lambda: int(info(busy, "clients", "connected_clients")) <= 2, "who has quit is gone")
            reader.close()
            quitter.close()

    def test_password(self):
        with Server(directives=["--requirepass", "secret"]) as server:
            with RawClient(server) as client:
                self.assertEqual(client.ask("GET", "a"), b"-NOAUTH Authentication required.")
                self.assertTrue(client.ask("AUTH", "wrong").startswith(b"-WRONGPASS "))
                self.assertEqual(client.ask("AUTH", "secret"), b"+OK")
                self.assertIsNone(client.ask("GET", "a"))
            with RawClient(server) as stranger:
                stranger.send(b"*11\r\n")
                self.assertEqual(stranger.until_closed(), b"-ERR Protocol error: unauthenticated multibulk length\r\n")

    @unittest.skipUnless(non_loopback_address(), "this machine has the loopback interface only")
    def test_protected_mode(self):
        address = non_loopback_address()
        with Server(directives=["--bind", "127.0.0.1", address]) as server:
            with RawClient(server, host=address) as stranger:
                self.assertTrue(stranger.until_closed().startswith(b"-DENIED "))
            with RawClient(server) as local:
                self.assertEqual(local.ask("CONFIG", "SET", "protected-mode", "no"), b"+OK")
            with RawClient(server, host=address) as welcome:
                self.assertEqual(welcome.ask("PING"), b"+PONG")

    def test_unix_socket(self):
        with Server() as probe:
            path = os.path.join(probe.directory, "socket")
            with Server(directives=["--unixsocket", path, "--unixsocketperm", "700"]) as server:
                self.assertEqual(os.stat(path).st_mode & 0o777, 0o700)
                with RawClient(server, path=path) as client:
                    self.assertEqual(client.ask("SET", "a", "1"), b"+OK")
                    self.assertIn(f"addr={path}:0", client.ask("CLIENT", "LIST").decode())
                self.assertEqual(redis.Redis(unix_socket_path=path).get("a"), b"1")
                server.stop()
                self.assertFalse(os.path.exists(path))

    def test_running_out_of_descriptors_refuses_and_recovers(self):
        with Server(directives=["--maxclients", "500"]) as server, RawClient(server) as witness:
            self.assertEqual(witness.ask("PING"), b"+PONG")
            in_use = len(os.listdir(f"/proc/{server.process.pid}/fd"))
            limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (in_use + 5, limits[1]))
            clients = [RawClient(server) for _ in range(20)]
            answers = []
            for client in clients:
                try:
                    client.send(command("PING"))
                    answers.append(client.line())
                except (EOFError, ConnectionError):
                    answers.append(b"closed")
            refused = [a for a in answers if a != b"+PONG"]
            self.assertIn(b"+PONG", answers)
            self.assertGreaterEqual(len(refused), 10)
            self.assertEqual(set(refused), {b"-ERR the server has run out of file descriptors"})
            self.assertEqual(witness.ask("PING"), b"+PONG")
            for client in clients:
                client.close()
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)
            wait_until(lambda: int(info(witness, "clients", "connected_clients")) == 1, "the others are gone")
            with RawClient(server) as again:
                self.assertEqual(again.ask("PING"), b"+PONG")

    def test_without_descriptors_every_door_opens_again(self):
        with Server() as probe:
            path = os.path.join(probe.directory, "socket")
            with Server(directives=["--unixsocket", path]) as server:
                limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
                resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
                with RawClient(server) as one, RawClient(server, path=path) as other:
                    for door in (f"127.0.0.1:{server.port}", path):
                        wait_until(lambda door=door: f"no new clients at {door}" in server.log_text(), f"{door} rests")
                    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)
                    for client in (one, other):
                        self.assertEqual(client.ask("PING"), b"+PONG")

    def test_without_descriptors_clients_that_are_there_write_and_read_or_are_told(self):
        """More than a memtable is written, and tables that are closed are read, while no file can be opened."""
        tiny = ["--memtable-size", "500", "--memtable-size-mb", "1", "--max-open-sstables", "4", "--block-cache-mb", "1", "--row-cache-percent", "0",
                "--max-sstable-size-mb", "1", "--compression", "none"]
        with Server(directives=tiny) as server, RawClient(server) as client:
            written = {}

            def write(i):
                value = b"<%d>" % i * 300
                answer = client.ask("SET", f"k:{i}", value)
                if answer == b"+OK":
                    written[i] = value
                return answer
            for i in range(5000):
                self.assertEqual(write(i), b"+OK")
            self.assertEqual(client.ask("LSM", "COMPACT"), b"+OK")
            limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
            refused = set()
            for i in range(5000, 7500):
                answer = write(i)
                if answer != b"+OK":
                    refused.add(answer)
                    break
            for i in range(0, 5000, 7):
                answer = client.ask("GET", f"k:{i}")
                if answer != written[i]:
                    refused.add(answer)
            self.assertTrue(refused, "it needed no file")
            for answer in refused:
                self.assertRegex(answer, b"^-[A-Z]+ .*Too many open files")
            self.assertEqual(client.ask("PING"), b"+PONG")
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)
            wait_until(lambda: write(7500) == b"+OK", "writes are taken again")
            for words in (["LSM", "FLUSH"], ["LSM", "COMPACT"]):
                wait_until(lambda words=words: client.ask(*words) == b"+OK", f"{words} goes well again")
            for again in range(2):
                for i, value in written.items():
                    self.assertEqual(client.ask("GET", f"k:{i}"), value, i)
                if again == 0:
                    client.close()
                    server.kill()
                    server.start()
                    client = RawClient(server)
                    self.addCleanup(client.close)

    def test_a_peer_that_is_gone_without_a_word_is_asked_whether_it_is_there(self):
        """Keepalive: the server's end of each connection has that timer, and no other."""
        def timers(server, port):
            with open("/proc/net/tcp", encoding="ascii") as table:
                rows = [line.split() for line in list(table)[1:]]
            here, there = f":{server.port:04X}", f":{port:04X}"
            return [row[5][:2] for row in rows if row[1].endswith(here) and row[2].endswith(there)]
        for seconds, timer in (("300", "02"), ("0", "00")):
            with self.subTest(seconds=seconds), Server(directives=["--tcp-keepalive", seconds]) as server, RawClient(server) as client:
                self.assertEqual(client.ask("PING"), b"+PONG")
                port = client.socket.getsockname()[1]
                wait_until(lambda timer=timer, server=server, port=port: timers(server, port) == [timer], f"the timer is {timer}")

    def test_input_limit_closes(self):
        with Server(directives=["--client-query-buffer-limit", "1mb"]) as server:
            with RawClient(server) as client:
                try:
                    client.send(b"*2\r\n$3\r\nGET\r\n$5000000\r\n" + b"x" * 5_000_000)
                except OSError:
                    pass
                self.assertEqual(client.until_closed(), b"")
            with RawClient(server) as other:
                self.assertEqual(info(other, "stats", "client_query_buffer_limit_disconnections"), "1")

    def test_output_limit_closes(self):
        with Server(directives=["--client-output-buffer-limit", "normal", "100kb", "0", "0"]) as server:
            with RawClient(server) as client:
                self.assertEqual(client.ask("SET", "a", "x" * 20_000_000), b"+OK")
                client.send(command("GET", "a"))
                self.assertLess(len(client.until_closed()), 20_000_000)
            with RawClient(server) as other:
                self.assertEqual(info(other, "stats", "client_output_buffer_limit_disconnections"), "1")


if __name__ == "__main__":
    lsmkv_server.main()
