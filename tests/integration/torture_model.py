"""What one connection of a torture run has asked for, and what the server must therefore hold.

Each connection has two databases of its own, the one it has selected and another one for COPY and MOVE, so that what it sees depends on its
own commands alone, and they take effect in the order in which they were sent. When the server is killed, the commands without an answer took effect up to some place
and not beyond it, each wholly or not at all: so the database must be what the answered commands made, and the first n of
the others, for some n. An LSM INGEST among these may have been refused, because another connection's was running. A transaction is one of these commands, and so is what changes a whole database: FLUSHDB, SWAPDB of the connection's
two, LSM INGEST. What concerns everybody's databases at once is in torture_moments.py.

A command is a function of the state and nothing else; the plan of commands (torture_plan.py) is a function of the seed. Keys that begin with
"e:" have deadlines in the near future: what is read of them near the deadline may be either.
"""

import itertools
import time

from raw_client import command

MOST_REFUSED = 6           # commands of those without an answer of which each may have been refused
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

    def take(self, prefix):
        """Empties one of the databases. Returns what it held, by its own keys."""
        taken = {key: entry for key, entry in self.keys.items() if key.startswith(OTHER) == (prefix == OTHER)}
        for key in taken:
            del self.keys[key]
        return {key.removeprefix(prefix): entry for key, entry in taken.items()}

    def give(self, prefix, entries):
        self.keys.update({prefix + key: entry for key, entry in entries.items()})

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


class Unsure(Exception):
    """A reply that leaves open whether the command has taken effect, or still will."""


class WrongState(AssertionError):
    """What is there is not what can be there."""


def took_effect(state, pending, unsure, seen, before_ms, after_ms):
    """How many of the `pending`, unanswered commands explain what was `seen`; `state` is made what it is with these. `unsure`: the first of them may
    have been left out."""
    said = []          # of each number of them that was tried
    for commands in ways_to_go(pending, unsure):
        now = State()
        now.keys = dict(state.keys)
        for taken in range(len(commands) + 1):
            difference = now.difference(seen, before_ms, after_ms)
            if difference is None:
                state.keys = now.keys
                return taken
            said.append(f"with {taken} of {len(commands)}: {difference}")
            if taken < len(commands):
                commands[taken].apply(now)
    unanswered = "; ".join(f"{c.words!r:.120}" for c in pending)
    raise WrongState(f"{len(pending)} commands were unanswered: {unanswered}. " + ". ".join(said))


def ways_to_go(pending, unsure):
    """The lists of commands of which the first few may have taken effect: all, and without some of those that may have been refused."""
    may_lack = [i for i, c in enumerate(pending) if c.may_be_refused or (unsure and i == 0)][:MOST_REFUSED]
    for left_out in itertools.chain.from_iterable(itertools.combinations(may_lack, n) for n in range(len(may_lack) + 1)):
        yield [c for i, c in enumerate(pending) if i not in left_out]


# Each command: the words to send, and apply(state) -> the reply that must come; None: any.

class Command:
    may_be_refused = False       # though it was right: by what others do
    untold = {}        # verb -> what is sent in its place: for tests of the test

    def __init__(self, words, apply):
        self.words = words
        self.apply = apply

    def sent(self):
        return command(*Command.untold.get(self.words[0], self.words))

    def reply(self, client):
        return client.reply()

    def judge(self, state, reply):
        """What the reply should be; `state` is made what it says."""
        del reply
        return self.apply(state)


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
    may_be_refused = False

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

    def judge(self, state, reply):
        del reply
        return self.apply(state)


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


# What changes a whole database.

def flush():
    def apply(state):
        state.take(b"")
        return OK
    return Command(["FLUSHDB"], apply)


def flush_other(database, other):
    def apply(state):
        state.take(OTHER)
        return OK
    return Elsewhere(["FLUSHDB"], apply, database, other)


def swap(database, other):
    def apply(state):
        mine, others = state.take(b""), state.take(OTHER)
        state.give(OTHER, mine)
        state.give(b"", others)
        return OK
    return Command(["SWAPDB", database, other], apply)


class Ingest(Command):
    """Takes in a bundle (torture_moments.py) of `entries`, of the connection's own or other database."""
    may_be_refused = True

    def __init__(self, directory, prefix, entries):
        super().__init__(["LSM", "INGEST", directory], self._all)
        self._prefix = prefix
        self._entries = entries

    def _all(self, state):
        state.give(self._prefix, self._entries)

    def judge(self, state, reply):
        if isinstance(reply, list):
            self.apply(state)
            return reply
        if reply.startswith(b"-BUSY "):            # another one is running: nothing has happened
            return reply
        if reply == b"-ERR the server is shutting down":
            raise Unsure
        return "the figures of an ingest"


WHOLE_DATABASES = ("FLUSHDB", "SWAPDB", "LSM")
