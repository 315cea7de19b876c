"""Links by the thousand, and links with names that are taken, too long or missing."""

from world import HUB, LATEST, amqp, detached, ending, expect, is_refused, reader_of, refusal, sender_to

HANDLES, SESSIONS, LINKS = 256, 256, 5000  # what one connection may have
LINKS_GROWTH_MAX_MB = 48                   # for LINKS senders
AGAIN_GROWTH_MAX_MB = 12                   # for as many once more, after the first ones went
NAME_MAX = 1024


def begin(channel):
    return amqp.frame(channel, amqp.performative(amqp.BEGIN, [None, amqp.uint(0), amqp.uint(1 << 20), amqp.uint(1 << 20),
                                                              amqp.uint(HANDLES - 1)]))


def attach(channel, handle, name, address):
    target = amqp.Described(amqp.ulong(amqp.TARGET), [address])
    return amqp.frame(channel, amqp.performative(amqp.ATTACH, [name, amqp.uint(handle), False, None, None, None, target, None, None,
                                                               amqp.uint(0)]))


def up_to_handle_max(world, rng):
    """As many links as the session has handles all work; the next one is a framing error."""
    connection = world.connect()
    links = [connection.attach(f"link-{i}", sender_to(i % 2), True, wait=False) for i in range(HANDLES)]
    connection.wait(lambda: all(link.attach for link in links))
    for link in (links[0], links[-1]):
        delivery = connection.deliver(link, amqp.event(b"x", "x"))
        connection.wait(lambda: delivery in connection.outcomes)
        expect(connection.outcomes[delivery], None, "an event on one of many links")
    connection.attach("one-more", sender_to(0), True, wait=False)
    expect(ending(connection), "amqp:connection:framing-error", "a handle above handle-max")
    connection.socket.close()


def open_all(world):
    """A connection with LINKS senders, whose last session was ended because of one more."""
    connection = world.connect()
    attached, last = 0, LINKS // HANDLES
    for channel in range(last + 1):
        if channel:
            connection.socket.sendall(begin(channel))
        connection.socket.sendall(b"".join(attach(channel, i, f"{channel}-{i}", sender_to(0)) for i in range(HANDLES)))
        while attached < min(LINKS, (channel + 1) * HANDLES):
            _, code, fields, _ = connection.read_frame()
            attached += code == amqp.ATTACH and fields[6] is not None
    while True:
        channel, code, fields, _ = connection.read_frame()
        if code == amqp.END:
            break
        assert code != amqp.CLOSE, amqp.condition_of(fields, 0)
    expect((channel, amqp.condition_of(fields, 0)), (last, "amqp:resource-limit-exceeded"), "a link above the limit")
    return connection


def thousands(world, rng):
    """As many links as a connection may have; one more ends its session, and the others go on."""
    before = world.rss_mb()
    connection = open_all(world)
    grown = world.rss_mb() - before
    assert grown < LINKS_GROWTH_MAX_MB, f"{grown:.0f} MB more for {LINKS} links"
    connection.send(amqp.TRANSFER, [amqp.uint(0), amqp.uint(0), b"t"], amqp.event(b"x", "x"))
    while True:
        channel, code, fields, _ = connection.read_frame()
        if code == amqp.DISPOSITION:
            break
    expect((channel, fields[4].descriptor), (0, amqp.ACCEPTED), "an event beside thousands of links")
    connection.vanish()
    for _ in range(3):
        world.check_serves()
        open_all(world).vanish()
    again = world.rss_mb() - before - grown
    assert again < AGAIN_GROWTH_MAX_MB, f"{again:.0f} MB more after as many links three times"
    return f"{LINKS} links: {grown:.0f} MB"


def sessions(world, rng):
    """One session more than a connection may have closes it."""
    connection = world.connect()
    connection.socket.sendall(b"".join(begin(channel) for channel in range(1, SESSIONS + 1)))
    expect(ending(connection), "amqp:resource-limit-exceeded", "a session above the limit")
    connection.socket.close()


def refused_and_kept(world, rng):
    """Peers that never answer the detach of a refused link: what they chose is not kept for them."""
    before, connection = world.rss_mb(), world.connect()
    long_name = "n" * 60_000
    for channel in range(4):
        if channel:
            connection.socket.sendall(begin(channel))
        for handle in range(HANDLES):
            connection.socket.sendall(attach(channel, handle, f"{handle}{long_name}", "nowhere"))
            refused = 0
            while refused < 1:
                _, code, fields, _ = connection.read_frame()
                if code == amqp.DETACH:
                    refused += 1
                    expect(amqp.condition_of(fields, 2), "amqp:invalid-field", "a name that is too long")
    grown = world.rss_mb() - before
    assert grown < 16, f"{grown:.0f} MB more for links that were refused"
    connection.vanish()


def names_and_addresses(world, rng):
    """A newer link of a name takes it from the older one of its session, and from no other; a link has to name a node."""
    connection, other = world.connect(), world.connect()
    older = connection.attach("same", sender_to(0), True)
    elsewhere = other.attach("same", sender_to(0), True)
    connection.links.pop(0)  # answers go by name
    connection._remote.clear()
    newer = amqp.Link("same", 1, True)
    connection.links.append(newer)
    connection.send(amqp.ATTACH, ["same", amqp.uint(1), False, None, None, None,
                                  amqp.Described(amqp.ulong(amqp.TARGET), [sender_to(0)]), None, None, amqp.uint(0)])
    connection._remote[older.attach[1]] = older
    expect(detached(connection, older), "amqp:link:stolen", "the older of two links of one name")
    connection.wait(lambda: newer.attach is not None)
    for one, link in ((connection, newer), (other, elsewhere)):
        delivery = one.deliver(link, amqp.event(b"x", "x"))
        one.wait(lambda: delivery in one.outcomes)
        expect(one.outcomes[delivery], None, "an event of a link whose name others have")
    connection.close()

    for is_sender in (True, False):
        for address in ("", None):
            expect(refusal(other, address, is_sender), "amqp:invalid-field", f"the address {address!r}")
        expect(refusal(other, "x" * (NAME_MAX + 1), is_sender), "amqp:invalid-field", "an address that is too long")
        expect(refusal(other, "nowhere", is_sender), "amqp:not-found", "an event hub that is not there")
    expect(refusal(other, f"{HUB}/Partitions/2", True), "com.microsoft:argument-out-of-range", "a partition that is not there")
    expect(refusal(other, f"{HUB}/ConsumerGroups/none/Partitions/0", False), "amqp:not-found", "a group that is not there")
    other.close()


def in_and_out(world, rng):
    """Thousands of links that come and go on one handle."""
    before, connection = world.rss_mb(), world.connect()
    both = attach(0, 0, "flutter", sender_to(0)) + amqp.frame(0, amqp.performative(amqp.DETACH, [amqp.uint(0), True]))
    for _ in range(40):
        connection.socket.sendall(both * 100)
        gone = 0
        while gone < 100:
            gone += connection.read_frame()[1] == amqp.DETACH
    grown = world.rss_mb() - before
    assert grown < AGAIN_GROWTH_MAX_MB, f"{grown:.0f} MB more after 4000 links"
    connection.vanish()


PEERS = (up_to_handle_max, sessions, refused_and_kept, names_and_addresses, in_and_out, thousands)
