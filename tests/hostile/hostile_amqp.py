#!/usr/bin/env python3
"""hostile_amqp.py --doppel PATH

AMQP peers that lie, stop in the middle or never read: `doppel serve` must refuse them in its
own words or end their connection, stay healthy, keep its memory bounded and serve an honest client meanwhile. Ends with
`N passed, N failed`, one for each kind of peer."""

import argparse
import os
import random
import socket
import struct
import sys
import tempfile
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "crash"))
from kill import amqp, server as servers  # noqa: E402

HUB = "hostile"
READER = f"{HUB}/ConsumerGroups/$Default/Partitions/0"
FRAMES = 60
HALF_OPEN = 200
EVENT_BYTES, EVENTS = 32_000, 1500         # 48 MB: more than the batch cache (32 MiB) holds
IDLE_READERS = 5                           # without a level: as many as a partition allows
# The batch cache, this store's write buffers, and slack of the allocator; what a backlog of EVENTS for each reader would
# take is IDLE_READERS x 48 MB, far above.
GROWTH_MAX_MB = 160
ENDED = (OSError, EOFError)


class World:
    def __init__(self, server):
        self.server = server
        self.at, _ = server.start()
        server.create_event_hub(HUB, 2)
        self.user, self.key = self.at.events_key
        self.honest = 0

    def connect(self, **more):
        return amqp.Connection(self.at.host, self.at.amqp_plain_port, self.user, self.key, timeout=30, **more)

    def raw(self, data=b""):
        connection = socket.create_connection((self.at.host, self.at.amqp_plain_port), timeout=30)
        connection.sendall(data)
        return connection

    def rss_mb(self):
        with open(f"/proc/{self.server.pid}/status", encoding="ascii") as file:
            return int(next(line for line in file if line.startswith("VmRSS:")).split()[1]) / 1024

    def check_serves(self):
        """Nobody ended the server, it says that it is healthy, and an honest client sends and reads."""
        if self.server.own_end() is not None:
            raise AssertionError(f"the server ended with {self.server.own_end()}")
        if self.server.health() != 200:
            raise AssertionError("/healthz does not answer 200")
        self.honest += 1
        connection, name = self.connect(), f"honest-{self.honest}"
        consumer = connection.attach("consumer", f"{HUB}/ConsumerGroups/$Default/Partitions/1", False,
                                     filter="amqp.annotation.x-opt-offset > '@latest'")
        connection.grant(consumer, 10)
        delivery = connection.deliver(connection.attach("sender", f"{HUB}/Partitions/1", True), amqp.event(b"honest", name))
        connection.wait(lambda: delivery in connection.outcomes and consumer.messages)
        assert connection.outcomes[delivery] is None, connection.outcomes
        assert amqp.sections(consumer.messages[0])[amqp.PROPERTIES][0] == name
        connection.close()


def ending(connection):
    """How the server ends a connection or a session: the text of its close. It must do so."""
    try:
        while True:
            _, code, fields, _ = connection.read_frame()
            if code in (amqp.CLOSE, amqp.END):
                return amqp.condition_of(fields, 0)
    except amqp.Closed as end:
        return str(end)


def headers_and_sasl(world, rng):
    """Wrong headers, wrong keys, mechanisms nobody knows, and garbage instead."""
    for i in range(FRAMES):
        start = [b"AMQP\x03\x02\x00\x00", b"HTTP/1.1", amqp.SASL_HEADER + rng.randbytes(64), rng.randbytes(200)][i % 4]
        connection = world.raw(start)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
        connection.close()
    for user, key in ((world.user, "wrong"), ("nobody", world.key)):
        try:
            amqp.Connection(world.at.host, world.at.amqp_plain_port, user, key)
        except PermissionError:
            continue
        raise AssertionError(f"SASL PLAIN let {user} in with a wrong secret")


def after_sasl(world, rng):
    """Peers that go as far as SASL, half a frame or an open, and say nothing more; they are held while others are served."""
    held = []
    for i in range(HALF_OPEN):
        if i % 3 == 0:
            held.append(world.connect(begin=False).socket)
        elif i % 3 == 1:
            connection = world.connect(begin=False).socket
            connection.sendall(amqp.AMQP_HEADER + b"\x00\x00\x01")
            held.append(connection)
        else:
            held.append(world.raw(amqp.SASL_HEADER))
    world.check_serves()
    for connection in held:
        connection.close()


def sizes_that_lie(world, rng):
    """Sizes below a header, above the frame limit, of lists and binaries that reach beyond the frame, of counts in the billions."""
    flow = amqp.frame(0, amqp.performative(amqp.FLOW, [amqp.uint(0)] * 4))
    liars = [b"\x00\x00\x00\x03" + flow[4:], b"\xff\xff\xff\xff" + flow[4:], struct.pack("!I", amqp.FRAME_MAX + 1) + flow[4:],
             flow[:4] + b"\x00" + flow[5:], flow[:4] + b"\xff" + flow[5:]]
    for body in (b"\x00\x53\x14\xd0\xff\xff\xff\xff\xff\xff\xff\xff", b"\x00\x53\x14\xc0\xff\xff", b"\x00\x53\x14\xb0\x7f\xff\xff\xff",
                 b"\x00\x53\x13\xf0\x00\x00\x00\x08\x7f\xff\xff\xff\x40\x40", b"\x00" * 3000, b"\x00\x53\x12" + b"\xc0\x10\x01" * 1000):
        liars.append(struct.pack("!IBBH", 8 + len(body), 2, 0, 0) + body)
    for lie in liars:
        connection = world.connect()
        connection.socket.sendall(lie)
        ending(connection)
        connection.socket.close()


def mangled_frames(world, rng):
    """Right frames with wrong bytes in them: whatever becomes of it, the connection answers or ends."""
    target = amqp.Described(amqp.ulong(amqp.TARGET), [f"{HUB}/Partitions/0"])
    frames = [amqp.frame(0, amqp.performative(amqp.ATTACH, ["x", amqp.uint(0), False, None, None, None, target, None, None, amqp.uint(0)])),
              amqp.frame(0, amqp.performative(amqp.FLOW, [amqp.uint(0)] * 4)),
              amqp.frame(0, amqp.performative(amqp.TRANSFER, [amqp.uint(0), amqp.uint(0), b"t", amqp.uint(0)]), amqp.event(b"x", "x")),
              amqp.frame(0, amqp.performative(amqp.DISPOSITION, [True, amqp.uint(0), amqp.uint(9), True]))]
    for _ in range(FRAMES):
        connection = world.connect()
        try:
            for one in frames:
                data = bytearray(one)
                for _ in range(rng.randint(1, 4)):
                    data[rng.randrange(8, len(data))] = rng.randrange(256)
                connection.socket.sendall(data)
            connection.send(amqp.CLOSE, [None])
            ending(connection)
        except ENDED as error:
            if isinstance(error, TimeoutError):
                raise
        connection.socket.close()


def unknown_performatives(world, rng):
    """Performatives that do not exist, that a session does not know, or that come where they may not."""
    null = [None]
    for code, fields, channel in ((0x19, null, 0), (0xFFFF_FFFF_FFFF, null, 0), (amqp.OPEN, ["again", None], 0),
                                  (amqp.ATTACH, ["x", amqp.uint(0), False], 77), (amqp.TRANSFER, [amqp.uint(9), amqp.uint(0), b"t"], 0),
                                  (amqp.DETACH, [amqp.uint(200)], 0), (amqp.BEGIN, null, 0), (amqp.SASL_INIT, null, 0)):
        connection = world.connect()
        connection.socket.sendall(amqp.frame(channel, amqp.performative(code, fields)))
        ending(connection)
        connection.socket.close()


def never_reads(world, rng):
    """Consumers with all the credit in the world that never read, while events flow: their server holds positions, not events."""
    held = []
    for i in range(IDLE_READERS):
        connection = world.connect()
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.grant(connection.attach(f"deaf-{i}", READER, False, filter="amqp.annotation.x-opt-offset > '@latest'"), 1 << 30)
        held.append(connection)
    before = world.rss_mb()
    sender, body = world.connect(), rng.randbytes(EVENT_BYTES)
    link, most = sender.attach("sender", f"{HUB}/Partitions/0", True), before
    for i in range(EVENTS):
        sender.deliver(link, amqp.event(body, f"n{i}"))
        sender.wait(lambda: sender._next_delivery - len(sender.outcomes) < 32)
        if i % 50 == 0:
            most = max(most, world.rss_mb())
    sender.wait(lambda: len(sender.outcomes) == EVENTS)
    most = max(most, world.rss_mb())
    refused = [why for why in sender.outcomes.values() if why]
    assert not refused, f"a sender suffers from readers that do not read: {refused[:3]}"
    assert most - before < GROWTH_MAX_MB, f"{most - before:.0f} MB more while {IDLE_READERS} consumers do not read"
    world.check_serves()
    for connection in held:
        connection.vanish()
    return f"{EVENTS * EVENT_BYTES >> 20} MiB past {IDLE_READERS} consumers that do not read: {most - before:.0f} MB more"


def half_a_message(world, rng):
    """Ends its link, its session or its connection in the middle of a delivery of several frames: nothing of it is stored."""
    head = amqp.batch([amqp.event(rng.randbytes(50_000), f"half-{i}") for i in range(4)])
    for code, fields in ((amqp.DETACH, [amqp.uint(0), True]), (amqp.END, [None]), (amqp.CLOSE, [None]), (None, None)):
        for size in (1, 40_000, 60_000):
            connection = world.connect()
            connection.attach("half", f"{HUB}/Partitions/1", True)
            connection.send(amqp.TRANSFER, [amqp.uint(0), amqp.uint(0), b"t", amqp.uint(amqp.BATCH), False, True], head[:size])
            connection.send(amqp.TRANSFER, [amqp.uint(0), None, None, None, None, True], head[size:2 * size])
            if code is None:
                connection.vanish()
                continue
            connection.send(code, fields)
            link = connection.links[0]
            if code == amqp.DETACH:
                connection.wait(lambda: link.detached is not None)
            else:
                ending(connection)
            connection.socket.close()
    connection = world.connect()
    # An aborted delivery leaves its link as it was: the next one is taken.
    link = connection.attach("aborting", f"{HUB}/Partitions/1", True)
    connection.send(amqp.TRANSFER, [amqp.uint(0), amqp.uint(0), b"t", amqp.uint(amqp.BATCH), False, True], head[:40_000])
    connection.send(amqp.TRANSFER, [amqp.uint(0), None, None, None, None, False, None, None, None, True])
    connection._next_delivery, link.count, connection._next_transfer = 1, 1, 2
    delivery = connection.deliver(link, amqp.event(b"whole", "whole"))
    connection.wait(lambda: delivery in connection.outcomes)
    assert connection.outcomes[delivery] is None, connection.outcomes
    consumer = connection.attach("all", f"{HUB}/ConsumerGroups/$Default/Partitions/1", False)
    connection.grant(consumer, 1000)
    names = []
    while "whole" not in names:
        connection.step()
        names += [amqp.sections(message)[amqp.PROPERTIES][0] for message in consumer.messages]
        consumer.messages.clear()
    assert not [name for name in names if name.startswith("half")], names
    connection.close()


PEERS = (headers_and_sasl, after_sasl, sizes_that_lie, mangled_frames, unknown_performatives, half_a_message, never_reads)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--doppel", required=True)
    parser.add_argument("--only", help="one kind of peer")
    arguments = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="doppel-hostile-") as work:
        server = servers.Server(arguments.doppel, os.path.join(work, "data"), os.path.join(work, "log"))
        try:
            world = World(server)
            for peer in PEERS:
                if arguments.only not in (None, peer.__name__):
                    continue
                try:
                    said = peer(world, random.Random(1))
                    world.check_serves()
                except Exception:  # whatever it is, the check failed
                    failed += 1
                    print(f"  not ok - {peer.__name__}: {traceback.format_exc(limit=-4)}", flush=True)
                    if server.own_end() is not None:
                        print(f"      the server is gone, with {server.own_end()}; the end of its log:")
                        print(Path(work, "log").read_text(encoding="utf-8", errors="replace")[-1500:])
                        break
                    continue
                passed += 1
                print(f"  ok - {peer.__name__.replace('_', ' ')}{': ' + said if said else ''}", flush=True)
            if server.own_end() is None and server.stop() != 0:
                failed += 1
                print(f"  not ok - the server ended with {server.own_end()} on SIGTERM")
        finally:
            if server.is_running():
                server.kill()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
