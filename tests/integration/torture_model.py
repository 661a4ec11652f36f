"""What one connection of a torture run has asked for, and what the server must therefore hold.

Each connection has two databases of its own, the one it has selected and another one for COPY and MOVE, so that what it sees depends on its
own commands alone, and they take effect in the order in which they were sent. When the server is killed, the commands without an answer took effect up to some place
and not beyond it, each wholly or not at all: so the database must be what the answered commands made, and the first n of
the others, for some n. A transaction is one of these commands.

A command is a function of the state and nothing else; the plan of commands is a function of the seed. Keys that begin with
"e:" have deadlines in the near future: what is read of them near the deadline may be either.
"""

import random
import time

from raw_client import command

KEYS = 250
LARGE = 120_000            # bytes; far over min-blob-size
BESIDE_LOG = 4_300_000     # bytes; a batch of these is written beside the log
NEAR_MS = 4000             # how far off a near deadline may be
DOUBT_MS = 500             # clocks are read at both ends of a connection


def now_ms():
    return int(time.time() * 1000)


OTHER = b"other/"          # before a key: the one in the connection's other database


class State:
    """Both databases: key -> (value, deadline in ms or None)."""

    def __init__(self):
        self.keys = {}

    def value(self, key):
        entry = self.keys.get(key)
        return entry[0] if entry else None

    def deadline(self, key):
        entry = self.keys.get(key)
        return entry[1] if entry else None

    def difference(self, seen, before_ms, after_ms):
        """What is wrong with `seen`, read between the two moments; None: nothing. `seen` as `keys`."""
        for key, (value, deadline) in self.keys.items():
            if deadline is not None and before_ms > deadline + DOUBT_MS:
                if key in seen:
                    return f"{key}: expired {before_ms - deadline} ms ago and is there"
                continue
            if key not in seen:
                if deadline is not None and after_ms > deadline - DOUBT_MS:
                    continue
                return f"{key}: lost; {shown(value)} expected, deadline {deadline}"
            if seen[key][0] != value:
                return f"{key}: {shown(seen[key][0])} instead of {shown(value)}"
            if seen[key][1] != deadline:
                return f"{key}: deadline {seen[key][1]} instead of {deadline}"
        for key in seen:
            if key not in self.keys:
                return f"{key}: nobody wrote it, or it was deleted: {shown(seen[key][0])}"
        return None


def shown(value):
    return "nothing" if value is None else f"{len(value)} bytes {value[:40]!r}"


# Each command: the words to send, and apply(state) -> the reply that must come; None: any.

class Command:
    def __init__(self, words, apply):
        self.words = words
        self.apply = apply

    def sent(self):
        return command(*self.words)

    def reply(self, client):
        return client.reply()


class Elsewhere(Command):
    """A command in the connection's other database."""

    def __init__(self, words, apply, database, other):
        super().__init__(words, apply)
        self._databases = other, database

    def sent(self):
        there, back = (command("SELECT", database) for database in self._databases)
        return there + super().sent() + back

    def reply(self, client):
        selected = client.reply()
        reply = super().reply(client)
        again = client.reply()
        return reply if selected == again == OK else [selected, reply, again]


class Transaction:
    """Commands between MULTI and EXEC: one command, whose reply is all of theirs."""

    def __init__(self, commands):
        self.words = ["EXEC", *(c.words[:2] for c in commands)]
        self._commands = commands

    def sent(self):
        return command("MULTI") + b"".join(c.sent() for c in self._commands) + command("EXEC")

    def reply(self, client):
        for expected in [OK, *([b"+QUEUED"] * len(self._commands))]:
            reply = client.reply()
            if reply != expected:
                return reply
        return client.reply()

    def apply(self, state):
        return [c.apply(state) for c in self._commands]


OK = b"+OK"


def set_(key, value, deadline=None, keep=False):
    def apply(state):
        state.keys[key] = (value, state.deadline(key) if keep else deadline)
        return OK
    extra = ["KEEPTTL"] if keep else ["PXAT", deadline] if deadline else []
    return Command(["SET", key, value, *extra], apply)


def mset(pairs):
    def apply(state):
        for key, value in pairs.items():
            state.keys[key] = (value, None)
        return OK
    return Command(["MSET", *(word for pair in pairs.items() for word in pair)], apply)


def delete(keys, verb):
    def apply(state):
        return b":%d" % sum(state.keys.pop(key, None) is not None for key in keys)
    return Command([verb, *keys], apply)


def incr(key, by):
    def apply(state):
        number = int(state.value(key) or 0) + by
        state.keys[key] = (b"%d" % number, state.deadline(key))
        return b":%d" % number
    return Command(["INCRBY", key, by], apply)


def append(key, piece):
    def apply(state):
        value = (state.value(key) or b"") + piece
        state.keys[key] = (value, state.deadline(key))
        return b":%d" % len(value)
    return Command(["APPEND", key, piece], apply)


def expire_at(key, deadline):
    def apply(state):
        if key not in state.keys:
            return b":0"
        state.keys[key] = (state.value(key), deadline)
        return b":1"
    return Command(["PEXPIREAT", key, deadline], apply)


def persist(key):
    def apply(state):
        if state.deadline(key) is None:
            return b":0"
        state.keys[key] = (state.value(key), None)
        return b":1"
    return Command(["PERSIST", key], apply)


def rename(old, new):
    def apply(state):
        if old not in state.keys:
            return b"-ERR no such key"
        state.keys[new] = state.keys.pop(old)
        return OK
    return Command(["RENAME", old, new], apply)


def get(key):
    return Command(["GET", key], lambda state: state.value(key))


def getdel(key):
    def apply(state):
        entry = state.keys.pop(key, None)
        return entry[0] if entry else None
    return Command(["GETDEL", key], apply)


def near(key, value, deadline):
    """A deadline so near that no reply about the key is certain."""
    def apply(state):
        state.keys[key] = (value, deadline)
        return OK
    return Command(["SET", key, value, "PXAT", deadline], apply)


def setrange(key, offset, piece):
    def apply(state):
        value = state.value(key) or b""
        if not piece:
            return b":%d" % len(value)             # and the key is not made
        value = value[:offset].ljust(offset, b"\0") + piece + value[offset + len(piece):]
        state.keys[key] = (value, state.deadline(key))
        return b":%d" % len(value)
    return Command(["SETRANGE", key, offset, piece], apply)


def copied(state, key, to, replace):
    if key not in state.keys or (to in state.keys and not replace):
        return b":0"
    state.keys[to] = state.keys[key]
    return b":1"


def copy(key, to, replace):
    return Command(["COPY", key, to, *["REPLACE"] * replace], lambda state: copied(state, key, to, replace))


def copy_to_other(key, to, other, replace):
    return Command(["COPY", key, to, "DB", other, *["REPLACE"] * replace], lambda state: copied(state, key, OTHER + to, replace))


def moved(state, key, to):
    if key not in state.keys or to in state.keys:
        return b":0"
    state.keys[to] = state.keys.pop(key)
    return b":1"


def move(key, other):
    return Command(["MOVE", key, other], lambda state: moved(state, key, OTHER + key))


def move_back(key, database, other):
    return Elsewhere(["MOVE", key, database], lambda state: moved(state, OTHER + key, key), database, other)


def delete_other(key, database, other):
    return Elsewhere(["DEL", key], lambda state: b":%d" % (state.keys.pop(OTHER + key, None) is not None), database, other)


def flush():
    def apply(state):
        state.keys = {key: entry for key, entry in state.keys.items() if key.startswith(OTHER)}
        return OK
    return Command(["FLUSHDB"], apply)


class Plan:
    """The commands of one connection in one round, one after another without end."""

    def __init__(self, seed, database, other, large_share=0.01):
        self._random = random.Random(seed)
        self._database = database
        self._other = other
        self._count = 0
        self._large_share = large_share

    def _key(self):
        return b"k:%d" % self._random.randrange(KEYS)

    def _value(self, size=None):
        self._count += 1
        r = self._random
        if size is None:
            size = r.randrange(20_000, LARGE) if r.random() < self._large_share else r.choice((8, 40, 200, 3000))
        stamp = b"<%d/%d>" % (self._count, r.randrange(1 << 30))
        return (stamp * (size // len(stamp) + 1))[:size]

    def next(self):
        r = self._random
        if r.random() < 0.08:
            commands = [self._command() for _ in range(r.randrange(1, 12))]
            if r.random() < 0.02:
                commands.insert(r.randrange(len(commands)), flush())
            return Transaction(commands)
        if r.random() < 0.03:
            return near(b"e:%d" % r.randrange(50), self._value(), now_ms() + r.randrange(1, NEAR_MS))
        if r.random() < 0.001:
            return set_(b"h:%d" % r.randrange(2), self._value(BESIDE_LOG))
        if r.random() < 0.03:
            return r.choice((move_back, delete_other))(self._key(), self._database, self._other)
        return self._command()

    def _command(self):
        r = self._random
        kind = r.random()
        if kind < 0.38:
            return set_(self._key(), self._value())
        if kind < 0.46:
            return mset({self._key(): self._value() for _ in range(r.randrange(2, 8))})
        if kind < 0.56:
            return delete([self._key()], r.choice(("DEL", "UNLINK")))
        if kind < 0.59:
            return delete(list({self._key() for _ in range(5)}), "DEL")
        if kind < 0.69:
            return incr(b"n:%d" % r.randrange(10), r.randrange(1, 100))
        if kind < 0.73:
            return append(b"a:%d:%d" % (r.randrange(10), self._count // 40), b"+" * r.randrange(1, 60))
        if kind < 0.78:
            return expire_at(self._key(), now_ms() + 3_600_000 + r.randrange(1_000_000))
        if kind < 0.80:
            return persist(self._key())
        if kind < 0.82:
            return set_(self._key(), self._value(), keep=True)
        if kind < 0.84:
            return set_(self._key(), self._value(), deadline=now_ms() + 3_600_000)
        if kind < 0.89:
            return rename(self._key(), self._key())
        if kind < 0.90:
            return getdel(self._key())
        if kind < 0.9003:
            return flush()
        if kind < 0.92:
            return setrange(self._key(), r.choice((0, 5, 300, 5000)), self._value(r.choice((0, 8, 40))))
        if kind < 0.93:
            key = self._key()
            return copy(key, key + b"c" if r.random() < 0.2 else b"k:%d" % ((int(key[2:]) + r.randrange(1, KEYS)) % KEYS), r.random() < 0.5)
        if kind < 0.94:
            return copy_to_other(self._key(), self._key(), self._other, r.random() < 0.5)
        if kind < 0.95:
            return move(self._key(), self._other)
        return get(self._key())
