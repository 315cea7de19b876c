"""Peers that ask for what they have no right to, or had one that ends."""

import time

from world import HUB, LATEST, OTHER_HUB, amqp, detached, expect, is_refused, reader_of, refusal, sender_to, soon

UNAUTHORIZED = "amqp:unauthorized-access"
SENDERS = (HUB, f"{HUB}/Partitions/0", f"{HUB}/Publishers/p")
READERS = (f"{HUB}/ConsumerGroups/$Default/Partitions/0", f"{HUB}/ConsumerGroups/none/Partitions/99")
DESCRIBE = {"operation": "READ", "type": "com.microsoft:eventhub", "name": HUB}
LIVES_S, WITHIN_S = 2, 20


def without_rights(world, rng):
    """Each kind of link with each kind of claim that is not the right one. What is there is told to nobody without a proof."""
    for rights, refused in (("Listen", SENDERS), ("Send", READERS)):
        user, key = world.rule(f"only-{rights.lower()}", rights)
        connection = amqp.Connection(world.at.host, world.at.amqp_plain_port, user, key, timeout=30)
        for address in refused:
            expect(refusal(connection, address, rights == "Listen"), UNAUTHORIZED, f"{address} with {rights} only")
        allowed = connection.attach("allowed", *((reader_of(0), False) if rights == "Listen" else (HUB, True)))
        assert not is_refused(allowed), f"{rights} allows less than it says"
        expect(refusal(connection, OTHER_HUB, True), UNAUTHORIZED, "another event hub")
        expect(refusal(connection, "nowhere", True), UNAUTHORIZED, "an event hub that is not there")
        expect(connection.request("$management", DESCRIBE)[0], 200, f"$management with {rights}")
        connection.close()

    nobody = world.anonymous()
    for address in SENDERS + (OTHER_HUB, "nowhere"):
        expect(refusal(nobody, address, True), UNAUTHORIZED, f"{address} without a claim")
    for address in READERS + ("nowhere/ConsumerGroups/$Default/Partitions/0", "messages/events/ConsumerGroups/x/Partitions/0"):
        expect(refusal(nobody, address, False), UNAUTHORIZED, f"{address} without a claim")
    expect(nobody.request("$management", DESCRIBE)[0], 401, "$management without a claim")
    expect(nobody.request("$management", DESCRIBE | {"name": "nowhere"})[0], 401, "the same about what is not there")
    nobody.close()


def bad_tokens(world, rng):
    """Tokens that are over, of a wrong key or for something else give nothing."""
    connection, now = world.anonymous(), int(time.time())
    expect(world.put_token(connection, HUB, now - 3600), 401, "a token that is over")
    expect(world.put_token(connection, HUB, now + 3600, key="wrong"), 401, "a token of a wrong key")
    expect(world.put_token(connection, OTHER_HUB, now + 3600), 200, "a token for another event hub")
    expect(world.put_token(connection, "nowhere", now + 3600), 404, "a token for an event hub that is not there")
    expect(refusal(connection, HUB, True), UNAUTHORIZED, "an event hub that no token is for")
    expect(refusal(connection, reader_of(0), False), UNAUTHORIZED, "the same for a receiver")
    expect(world.put_token(connection, HUB, now + 3600), 200, "a good token")
    assert not is_refused(connection.attach("good", HUB, True)), "the good token is not taken after bad ones"
    connection.close()


def token_that_ends(world, rng):
    """A claim that ends under open links ends them, not their connection; one that is renewed does not."""
    ending, renewed = world.anonymous(), world.anonymous()
    links = []
    for connection in (ending, renewed):
        expect(world.put_token(connection, HUB, soon(LIVES_S)), 200, "a token with little time left")
        reader = connection.attach("reader", reader_of(0), False, filter=LATEST)
        connection.grant(reader, 10)
        links.append((reader, connection.attach("sender", sender_to(0), True)))
    expect(world.put_token(renewed, HUB, int(time.time()) + 3600), 200, "a renewal")
    began = time.monotonic()
    for link in links[0]:
        expect(detached(ending, link), UNAUTHORIZED, "a link whose claim ended")
    assert time.monotonic() - began < WITHIN_S, "a link outlives its claim"
    expect(refusal(ending, sender_to(0), True), UNAUTHORIZED, "a new link with the old claim")
    expect(world.put_token(ending, HUB, int(time.time()) + 3600), 200, "a new token on the same connection")
    assert not is_refused(ending.attach("again", sender_to(0), True)), "the new token gives nothing"
    delivery = renewed.deliver(links[1][1], amqp.event(b"x", "renewed"))
    renewed.wait(lambda: delivery in renewed.outcomes and links[1][0].messages)
    expect(renewed.outcomes[delivery], None, "an event with a renewed claim")
    assert not [link for link in links[1] if link.detached], "a renewed claim ends all the same"
    ending.close()
    renewed.close()


PEERS = (without_rights, bad_tokens, token_that_ends)
