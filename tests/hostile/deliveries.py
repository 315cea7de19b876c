"""Senders whose deliveries are too long, never end, or end in the middle."""

from world import HUB, amqp, detached, ending, expect, names, reader_of, sender_to

MESSAGE_MAX = 1 << 20
ROOM = amqp.FRAME_MAX - 64
OPEN_LINKS = 200
OPEN_GROWTH_MAX_MB = 48  # 8 MiB of messages that are being put together, and slack
ASSEMBLY_BYTES = 8 << 20


def pieces(link, delivery, message, settled=False, is_whole=True):
    """The frames of one delivery, as bytes."""
    frames = b""
    for at in range(0, len(message), ROOM):
        more = not is_whole or at + ROOM < len(message)
        frames += amqp.frame(0, amqp.performative(amqp.TRANSFER, [
            amqp.uint(link.handle), amqp.uint(delivery), b"t", amqp.uint(0), settled, more]), message[at:at + ROOM])
    return frames


def too_long(world, rng):
    """A message or a batch above max-message-size is rejected and its link goes on; sent settled, there is only the detach."""
    connection = world.connect()
    link = connection.attach("long", sender_to(0), True)
    expect(link.attach[10], MESSAGE_MAX, "max-message-size")
    body = rng.randbytes(MESSAGE_MAX // 4)
    for what, message, kind in (("an event", amqp.event(body * 5, "long"), 0),
                                ("a batch", amqp.batch([amqp.event(body, f"long-{i}") for i in range(5)]), amqp.BATCH)):
        delivery = connection.deliver(link, message, kind)
        connection.wait(lambda: delivery in connection.outcomes)
        expect(connection.outcomes[delivery], "amqp:link:message-size-exceeded", what)
    delivery = connection.deliver(link, amqp.event(b"fits", "fits"))
    connection.wait(lambda: delivery in connection.outcomes)
    expect(connection.outcomes[delivery], None, "an event after two that were too long")
    connection.socket.sendall(pieces(link, connection._next_delivery, amqp.event(body * 5, "long"), settled=True))
    expect(detached(connection, link), "amqp:link:message-size-exceeded", "a settled event that is too long")
    consumer = connection.attach("all", reader_of(0), False)
    connection.grant(consumer, 1 << 20)
    while "fits" not in names(consumer.messages[-1:]):
        connection.step()
    assert not [name for name in names(consumer.messages) if name.startswith("long")], "of what was refused something is there"
    connection.close()


def never_ending(world, rng):
    """Messages that go on and on: many too long ones hold nothing, and of those that may still end few bytes are held."""
    before = world.rss_mb()
    connection = world.connect()
    links = [connection.attach(f"open-{i}", sender_to(0), True) for i in range(OPEN_LINKS)]
    message = rng.randbytes(MESSAGE_MAX + ROOM)
    for i, link in enumerate(links):
        connection.socket.sendall(pieces(link, i, message, is_whole=False))
    check = connection.attach("after", sender_to(0), True)
    assert not [link for link in links if link.detached], "a message that is too long waits for its end"
    grown = world.rss_mb() - before
    assert grown < OPEN_GROWTH_MAX_MB, f"{grown:.0f} MB more for {OPEN_LINKS} messages that are thrown away"
    connection._next_delivery = OPEN_LINKS
    connection.deliver(check, amqp.event(b"x", "after"))
    connection.wait(lambda: connection.outcomes)
    connection.close()

    connection = world.connect()
    links = [connection.attach(f"open-{i}", sender_to(0), True) for i in range(20)]
    message = message[:MESSAGE_MAX - ROOM]
    for i, link in enumerate(links):
        connection.socket.sendall(pieces(link, i, message, is_whole=False))
    connection.attach("after", sender_to(0), True)
    held = [link for link in links if not link.detached]
    expect(len(held), ASSEMBLY_BYTES // len(message), "long messages under way")
    for link in links[len(held):]:
        expect(detached(connection, link), "amqp:resource-limit-exceeded", "one long message more")
    connection.vanish()
    return f"{OPEN_LINKS} MiB of messages that do not end: {grown:.0f} MB more"


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


PEERS = (too_long, never_ending, half_a_message)
