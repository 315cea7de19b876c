"""Peers whose bytes are no AMQP, or not where they may come."""

import socket
import struct

from world import ENDED, HUB, amqp, detached, ending, expect, reader_of, sender_to

FRAMES = 60
HALF_OPEN = 200


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


def exact_answers(world, rng):
    """What breaks the rules in one place is answered with the condition of that rule, and ends no more than it has to."""
    target = amqp.Described(amqp.ulong(amqp.TARGET), [sender_to(0)])
    attach = [amqp.ATTACH, ["other", amqp.uint(0), False, None, None, None, target, None, None, amqp.uint(0)]]
    transfer = [amqp.TRANSFER, [amqp.uint(9), amqp.uint(0), b"t"]]
    for what, wanted, code, fields, channel in (
            ("a handle twice", "amqp:session:handle-in-use", *attach, 0),
            ("a transfer without a link", "amqp:session:unattached-handle", *transfer, 0),
            ("a flow without a link", "amqp:session:unattached-handle", amqp.FLOW, [amqp.uint(0)] * 4 + [amqp.uint(9)], 0),
            ("a detach without a link", "amqp:session:unattached-handle", amqp.DETACH, [amqp.uint(9)], 0),
            ("a message without an ID", "amqp:invalid-field", amqp.TRANSFER, [amqp.uint(0)], 0),
            ("an attach without a session", "amqp:not-allowed", *attach, 77),
            ("a session twice", "amqp:not-allowed", amqp.BEGIN, [None, amqp.uint(0), amqp.uint(1), amqp.uint(1)], 0),
            ("a channel above the limit", "amqp:connection:framing-error", amqp.BEGIN,
             [None, amqp.uint(0), amqp.uint(1), amqp.uint(1)], 5000),
            ("a second open", "amqp:illegal-state", amqp.OPEN, ["again", None], 0),
            ("a performative that does not exist", "amqp:decode-error", 0x19, [None], 0)):
        connection = world.connect()
        connection.attach("first", sender_to(0), True)
        connection.socket.sendall(amqp.frame(channel, amqp.performative(code, fields)))
        expect(ending(connection), wanted, what)
        connection.socket.close()

    connection = world.connect()
    link = connection.attach("first", sender_to(0), True)
    connection.socket.sendall(struct.pack("!IBBH", amqp.FRAME_MAX + 1, 2, 0, 0) + bytes(1000))
    expect(ending(connection), "amqp:connection:framing-error", "a frame above max-frame-size")

    # These cost their link, and the connection goes on.
    connection = world.connect()
    consumer = connection.attach("consumer", reader_of(0), False)
    connection.send(amqp.TRANSFER, [amqp.uint(consumer.handle), amqp.uint(0), b"t"], b"x")
    expect(detached(connection, consumer), "amqp:not-allowed", "a transfer from a receiver")
    connection.send(amqp.DETACH, [amqp.uint(consumer.handle), True])
    link = connection.attach("sender", sender_to(0), True)
    connection.deliver(link, amqp.event(b"x", "x"))
    connection.wait(lambda: connection.outcomes)
    connection.close()
    without_credit(world)


def without_credit(world):
    """More at once than there is credit for; some of a burst may be judged, and give credit back, before all of it is read."""
    connection = world.connect()
    link = connection.attach("greedy", sender_to(0), True)
    count = 0
    while link.detached is None:
        burst = b""
        for _ in range(2000):
            burst += amqp.frame(0, amqp.performative(amqp.TRANSFER, [amqp.uint(0), amqp.uint(count), b"t"]), amqp.event(b"g", "g"))
            count += 1
        connection.socket.sendall(burst)
        connection.wait(lambda: link.detached is not None or len(connection.outcomes) >= count)
    expect(detached(connection, link), "amqp:link:transfer-limit-exceeded", "transfers without credit")
    connection.close()


PEERS = (headers_and_sasl, after_sasl, sizes_that_lie, mangled_frames, unknown_performatives, exact_answers)
