"""Consumers that take what they are given in odd ways, or not at all."""

import select
import socket

from world import LATEST, amqp, detached, expect, flow, names, reader_of, refusal, sender_to

ALL = 0xFFFFFFFF
FLOWS = 20_000
EVENT_BYTES, EVENTS = 32_000, 1500         # 48 MB: more than the batch cache (32 MiB) holds
IDLE_READERS = 5                           # without a level: as many as a partition allows
# The batch cache, this store's write buffers, and slack of the allocator; what a backlog of EVENTS for each reader would
# take is IDLE_READERS x 48 MB, far above.
GROWTH_MAX_MB = 160
ANSWERS_MAX_MB = 24                        # of peers that ask and do not read
ASKED_MAX_BYTES = 40 << 20
BURSTS, BURSTS_GROWTH_MAX_MB = 300, 16


def send(world, partition, prefix, count):
    """Stores so many events and returns their names."""
    connection, wanted = world.connect(), [f"{prefix}-{i}" for i in range(count)]
    link = connection.attach("sender", sender_to(partition), True)
    for name in wanted:
        connection.deliver(link, amqp.event(b"x", name))
    connection.wait(lambda: len(connection.outcomes) == count)
    assert not any(connection.outcomes.values()), connection.outcomes
    connection.close()
    return wanted


def never_reads(world, rng):
    """Consumers with all the credit in the world that never read, while events flow: their server holds positions, not events."""
    held = []
    for i in range(IDLE_READERS):
        connection = world.connect()
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.grant(connection.attach(f"deaf-{i}", reader_of(0), False, filter=LATEST), 1 << 30)
        held.append(connection)
    before = world.rss_mb()
    sender, body = world.connect(), rng.randbytes(EVENT_BYTES)
    link, most = sender.attach("sender", sender_to(0), True), before
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


def credit_without_end(world, rng):
    """All the credit that the field holds, again and again, and counts from where nobody was: each event comes once, in order."""
    connection = world.connect()
    consumer = connection.attach("greedy", reader_of(1), False, filter=LATEST)
    connection.send(amqp.FLOW, flow(consumer, ALL))
    wanted = send(world, 1, "first", 20)
    connection.wait(lambda: len(consumer.messages) == 20)
    connection.send(amqp.FLOW, flow(consumer, ALL, seen=21))
    wanted += send(world, 1, "second", 20)
    connection.wait(lambda: len(consumer.messages) == 40)
    # It counts far ahead of what there was: it gets what it gives, and not what a difference of the two would make.
    connection.send(amqp.FLOW, flow(consumer, 3, seen=41, count=0x7FFFFFFF))
    wanted += send(world, 1, "third", 10)[:3]
    connection.wait(lambda: len(consumer.messages) == 43)
    # From far behind: all of it is under way.
    connection.send(amqp.FLOW, flow(consumer, 1000, seen=44, count=43 - 0x70000000 & ALL))
    connection.attach("after", reader_of(0), False, filter=LATEST)
    expect(names(consumer.messages), wanted, "events of a consumer with credit without end")
    connection.close()


def closed_window(world, rng):
    """A session window that stays closed keeps its events back and nobody else's; opened a little it lets through as much."""
    connection = world.connect()
    consumer = connection.attach("closed", reader_of(1), False, filter=LATEST)
    connection.send(amqp.FLOW, flow(consumer, ALL, window=0))
    wanted = send(world, 1, "window", 300)
    world.check_serves()
    connection.attach("still-here", reader_of(0), False, filter=LATEST)
    expect(consumer.messages, [], "events through a closed window")
    connection.send(amqp.FLOW, flow(consumer, ALL, window=3))
    connection.wait(lambda: len(consumer.messages) == 3)
    connection.attach("still-there", reader_of(0), False, filter=LATEST)
    expect(names(consumer.messages), wanted[:3], "events through a window of three")
    connection.send(amqp.FLOW, flow(consumer, ALL, seen=4))
    connection.wait(lambda: len(consumer.messages) >= 300)
    expect(names(consumer.messages)[:300], wanted, "events through a window that was opened again")
    connection.close()


def flow_flood(world, rng):
    """Thousands of flows that all ask for an answer, from peers that read none."""
    before, held = world.rss_mb(), []
    for _ in range(10):
        connection = world.connect()
        link = connection.attach("flood", sender_to(1), True)
        connection.socket.sendall(amqp.frame(0, amqp.performative(amqp.FLOW, flow(link, 0, echo=True))) * FLOWS)
        held.append(connection)
    for connection in held[5:]:
        connection.attach("after", sender_to(0), True)  # it is still there, and answers
    for connection in held:
        connection.vanish()
    grown = world.rss_mb() - before
    assert grown < ANSWERS_MAX_MB, f"{grown:.0f} MB more after {10 * FLOWS} flows"


def answers_nobody_reads(world, rng):
    """Attaches to nowhere, each with a long refusal, from peers that read none of them: they are not read either."""
    before, most, asked = world.rss_mb(), 0, 0
    for _ in range(4):
        connection = world.connect()
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.socket.setblocking(False)
        source = amqp.Described(amqp.ulong(amqp.SOURCE), ["nowhere"])
        question = (amqp.frame(0, amqp.performative(amqp.ATTACH, ["n" * 1000, amqp.uint(0), True, None, None, source, None])) +
                    amqp.frame(0, amqp.performative(amqp.DETACH, [amqp.uint(0), True]))) * 100
        sent = 0
        while sent < ASKED_MAX_BYTES and select.select([], [connection.socket], [], 1)[1]:
            sent += connection.socket.send(question[sent % len(question):])
        asked += sent
        most = max(most, world.rss_mb() - before)
        assert sent < ASKED_MAX_BYTES, "a peer that reads nothing is asked on and on"
        world.check_serves()
        connection.vanish()
    assert most < ANSWERS_MAX_MB, f"{most:.0f} MB more for answers that nobody reads"
    return f"{asked >> 20} MiB of questions were taken: {most:.0f} MB more"


def after_a_burst(world, rng):
    """Connections that were told much at once and are quiet since: what they were told with is given back."""
    before, held = world.rss_mb(), []
    source = amqp.Described(amqp.ulong(amqp.SOURCE), ["nowhere"])
    question = (amqp.frame(0, amqp.performative(amqp.ATTACH, ["n" * 1000, amqp.uint(0), True, None, None, source, None])) +
                amqp.frame(0, amqp.performative(amqp.DETACH, [amqp.uint(0), True]))) * 60
    for _ in range(BURSTS):
        connection = world.connect()
        connection.socket.sendall(question)
        detached_count = 0
        while detached_count < 60:
            detached_count += connection.read_frame()[1] == amqp.DETACH
        held.append(connection)
    grown = world.rss_mb() - before
    for connection in held:
        connection.vanish()
    assert grown < BURSTS_GROWTH_MAX_MB, f"{grown:.0f} MB more for {BURSTS} connections that are quiet"
    return f"{BURSTS} connections after a burst: {grown:.0f} MB"


def too_many_readers(world, rng):
    """Five without an owner level, not six; one that leaves makes room, and one with a level sends all away."""
    readers = []
    for i in range(IDLE_READERS):
        connection = world.connect()
        readers.append((connection, connection.attach(f"reader-{i}", reader_of(0), False, filter=LATEST)))
    with_room = None
    late = world.connect()
    expect(refusal(late, reader_of(0), False), "amqp:resource-limit-exceeded", "a sixth reader")
    readers.pop(0)[0].vanish()
    while with_room is None:  # until the server has seen that it is gone
        late.close()
        late = world.connect()
        link = late.attach("late", reader_of(0), False, filter=LATEST)
        with_room = link if link.detached is None else None
    readers.append((late, with_room))

    owner, after = world.connect(), world.connect()
    owner.attach("owner", reader_of(0), False, filter=LATEST, properties={"com.microsoft:epoch": amqp.long(0)})
    for connection, link in readers:
        expect(detached(connection, link), "amqp:link:stolen", "a reader beside an owner")
        connection.close()
    expect(refusal(after, reader_of(0), False), "amqp:link:stolen", "a reader that comes after an owner")
    after.close()
    owner.close()


PEERS = (credit_without_end, closed_window, flow_flood, answers_nobody_reads, too_many_readers, never_reads)
