"""Sends to and receives from an event hub with Qpid Proton's own client: an AMQP library that knows nothing of Azure.

Usage: event_hubs.py. SASL PLAIN with the name and the key of a rule, TLS. Settings come from the environment (`doppel
env` prints them); one `ok` / `not ok` line a check, and the last line is "N passed, N failed".
"""

import os
import time
import uuid

from proton import Message, SSLDomain, symbol, ulong
from proton.reactor import Filter, LinkOption
from proton.utils import BlockingConnection, LinkDetached, SendException

PARTS = dict(part.split("=", 1) for part in os.environ["DOPPEL_EH_CONNECTION"].rstrip(";").split(";"))
HOST = PARTS["Endpoint"].removeprefix("sb://").rstrip("/")
if ":" not in HOST:
    HOST += ":5671"
NAME = os.environ["DOPPEL_EH_NAME"]
PARTITIONS = int(os.environ["DOPPEL_EH_PARTITIONS"])
TAG = uuid.uuid4().hex[:8]
TIMEOUT_S = 10

passed = failed = 0


def check(title, action):
    """Runs one check; what it returns is remembered as its result, an exception fails it."""
    global passed, failed
    try:
        result = action()
    except Exception as error:  # whatever it is, the check failed
        failed += 1
        print(f"  not ok - {title}: {type(error).__name__}: {error}", flush=True)
        return None
    passed += 1
    print(f"  ok - {title}", flush=True)
    return result


def connect(key=None):
    tls = SSLDomain(SSLDomain.MODE_CLIENT)
    tls.set_trusted_ca_db(os.environ["CA_FILE"])
    tls.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
    return BlockingConnection(
        f"amqps://{HOST}", ssl_domain=tls, timeout=TIMEOUT_S, allowed_mechs="PLAIN",
        user=PARTS["SharedAccessKeyName"], password=key or PARTS["SharedAccessKey"],
    )


class Selector(Filter):
    def __init__(self, text):
        super().__init__({symbol("apache.org:selector-filter:string"): text})


class Properties(LinkOption):
    """Of the link."""

    def __init__(self, **properties):
        self._properties = {symbol("com.microsoft:" + name): value for name, value in properties.items()}

    def apply(self, link):
        link.properties = self._properties


class ReplyTo(LinkOption):
    def __init__(self, address):
        self._address = address

    def apply(self, link):
        link.target.address = self._address


def attach(connection, selector, *options, credit=50):
    return connection.create_receiver(f"{NAME}/ConsumerGroups/$Default/Partitions/0", credit=credit, name=uuid.uuid4().hex,
                                      options=[Selector(selector), *options])


def receive(connection, selector, enough):
    receiver = attach(connection, selector)
    got = []
    while not enough(got):
        got.append(receiver.receive(TIMEOUT_S))
    receiver.close()
    return got


def sequence_of(event):
    return event.annotations[symbol("x-opt-sequence-number")]


def read_management(connection, **properties):
    """The status and the body that `$management` answers."""
    replies = connection.create_receiver("$management", credit=1, options=ReplyTo("proton-replies"))
    requests = connection.create_sender("$management")
    requests.send(Message(id=ulong(1), reply_to="proton-replies", properties={"operation": "READ", "name": NAME, **properties}))
    answer = replies.receive(TIMEOUT_S)
    assert answer.correlation_id == 1, answer.correlation_id
    for link in (replies, requests):
        link.close()
    return answer.properties["status-code"], answer.body


def partition(connection):
    status, body = read_management(connection, type="com.microsoft:partition", partition="0")
    assert status == 200, status
    return body


def properties():
    connection = connect()
    status, hub = read_management(connection, type="com.microsoft:eventhub")
    assert (status, hub["name"], hub["partition_count"]) == (200, NAME, PARTITIONS), (status, hub)
    assert list(hub["partition_ids"].elements) == [str(i) for i in range(PARTITIONS)], hub["partition_ids"]
    before = partition(connection)["last_enqueued_sequence_number"]
    connection.create_sender(f"{NAME}/Partitions/0").send(Message(body=b"counted"))
    after = partition(connection)
    assert after["last_enqueued_sequence_number"] == before + 1 and not after["is_partition_empty"], after
    connection.close()


def round_trip():
    connection = connect()
    sender = connection.create_sender(f"{NAME}/Partitions/0")
    properties = {"tag": TAG, "number": 42, "truth": True}
    sender.send(Message(body={"deep": [1, "two"]}, id=7, properties=properties, content_type="x/y", inferred=False))
    got = receive(connection, "amqp.annotation.x-opt-offset > '-1'",
                  lambda g: g and (g[-1].properties or {}).get("tag") == TAG)
    event = got[-1]
    assert event.body == {"deep": [1, "two"]}, event.body
    assert event.id == 7 and event.content_type == "x/y", (event.id, event.content_type)
    assert event.properties == properties, event.properties
    assert isinstance(event.annotations[symbol("x-opt-sequence-number")], int)
    assert event.annotations[symbol("x-opt-offset")] is not None
    connection.close()


def without_tls():
    parts = dict(part.split("=", 1) for part in os.environ["DOPPEL_EH_EMULATOR_CONNECTION"].rstrip(";").split(";"))
    connection = BlockingConnection(
        parts["Endpoint"].replace("sb://", "amqp://").rstrip("/"), timeout=TIMEOUT_S, allowed_mechs="PLAIN",
        allow_insecure_mechs=True, user=parts["SharedAccessKeyName"], password=parts["SharedAccessKey"],
    )
    receiver = attach(connection, "amqp.annotation.x-opt-offset > '@latest'")
    connection.create_sender(f"{NAME}/Partitions/0").send(Message(body=b"plain"))
    assert bytes(receiver.receive(TIMEOUT_S).body) == b"plain"
    connection.close()


def positions():
    connection = connect()
    sender = connection.create_sender(f"{NAME}/Partitions/0")
    for number in range(2):
        sender.send(Message(body=b"position", properties={"tag": TAG, "position": number}))
        time.sleep(0.05)  # so that their times differ

    def of_two(event):
        return (event.properties or {}).get("position") if (event.properties or {}).get("tag") == TAG else None

    first, second = [event for event in receive(connection, "amqp.annotation.x-opt-offset > '-1'", lambda g: g and of_two(g[-1]) == 1)
                     if of_two(event) is not None]
    offset, enqueued = (first.annotations[symbol(f"x-opt-{name}")] for name in ("offset", "enqueued-time"))
    for selector, wanted in (
        (f"offset > '{offset}'", second), (f"offset >= '{offset}'", first),
        (f"sequence-number > '{sequence_of(first)}'", second), (f"sequence-number >= '{sequence_of(first)}'", first),
        (f"enqueued-time > '{int(enqueued)}'", second), (f"enqueued-time >= '{int(enqueued)}'", first),
    ):
        got = receive(connection, "amqp.annotation.x-opt-" + selector, lambda g: len(g) == 1)[0]
        assert sequence_of(got) == sequence_of(wanted), f"{selector}: {sequence_of(got)} instead of {sequence_of(wanted)}"
    connection.close()


def latest():
    connection = connect()
    receiver = attach(connection, "amqp.annotation.x-opt-offset > '@latest'")
    last = partition(connection)["last_enqueued_sequence_number"]
    connection.create_sender(f"{NAME}/Partitions/0").send(Message(body=b"new"))
    event = receiver.receive(TIMEOUT_S)
    assert (sequence_of(event), bytes(event.body)) == (last + 1, b"new"), (sequence_of(event), event.body)
    connection.close()


def owner_level():
    # A connection for each: a link that is lost interrupts whatever its connection is doing.
    connections = [connect() for _ in range(4)]
    epochs = [Properties(epoch=1), Properties(epoch=2), Properties(epoch=1)]
    end = "amqp.annotation.x-opt-offset > '@latest'"
    try:
        one = attach(connections[0], end, epochs[0])
        two = attach(connections[1], end, epochs[1])
        for what in (lambda: one.receive(TIMEOUT_S), lambda: attach(connections[2], end, epochs[2]),
                     lambda: attach(connections[3], end)):
            try:
                what()
            except LinkDetached as lost:
                assert lost.condition == "amqp:link:stolen", lost.condition
            else:
                raise AssertionError("two readers have the partition")
        connections[1].create_sender(f"{NAME}/Partitions/0").send(Message(body=b"owned"))
        assert bytes(two.receive(TIMEOUT_S).body) == b"owned"
    finally:
        for connection in connections:
            connection.close()


def too_large():
    connection = connect()
    sender = connection.create_sender(f"{NAME}/Partitions/0")
    try:
        sender.send(Message(body=b"x" * 1_100_000))
    except SendException:
        sender.send(Message(body=b"small"))  # the link goes on
        return
    finally:
        connection.close()
    raise AssertionError("it was accepted")


def wrong_key():
    try:
        connect(key="d3Jvbmc=").close()
    except Exception:
        return
    raise AssertionError("it was let in")


check("properties of the event hub and of a partition", properties)
check("what was sent comes back with its types", round_trip)
check("each kind of position, inclusive and not, begins where it says", positions)
check("latest sees only what comes after", latest)
check("a reader of a higher owner level takes the partition", owner_level)
if "DOPPEL_EH_EMULATOR_CONNECTION" in os.environ:
    check("the same without TLS", without_tls)
check("an event that is too large is rejected and the link goes on", too_large)
check("a wrong key is refused", wrong_key)
print(f"{passed} passed, {failed} failed", flush=True)
raise SystemExit(0 if failed == 0 else 1)
