"""Sends to and receives from an event hub with Qpid Proton's own client: an AMQP library that knows nothing of Azure.

Usage: event_hubs.py. SASL PLAIN with the name and the key of a rule, TLS. Settings come from the environment (`doppel
env` prints them); one `ok` / `not ok` line a check, and the last line is "N passed, N failed".
"""

import os
import uuid

from proton import Message, SSLDomain, symbol
from proton.reactor import Filter
from proton.utils import BlockingConnection, SendException

PARTS = dict(part.split("=", 1) for part in os.environ["DOPPEL_EH_CONNECTION"].rstrip(";").split(";"))
HOST = PARTS["Endpoint"].removeprefix("sb://").rstrip("/")
if ":" not in HOST:
    HOST += ":5671"
NAME = os.environ["DOPPEL_EH_NAME"]
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


def receive(connection, selector, enough):
    receiver = connection.create_receiver(f"{NAME}/ConsumerGroups/$Default/Partitions/0", credit=50,
                                          options=Selector(selector))
    got = []
    while not enough(got):
        got.append(receiver.receive(TIMEOUT_S))
    receiver.close()
    return got


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
    return event.annotations[symbol("x-opt-sequence-number")]


def from_sequence(number):
    connection = connect()
    got = receive(connection, f"amqp.annotation.x-opt-sequence-number >= '{number}'", lambda g: len(g) == 1)
    assert got[0].annotations[symbol("x-opt-sequence-number")] == number
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


number = check("what was sent comes back with its types", round_trip)
if number is not None:
    check("a sequence number begins there", lambda: from_sequence(number))
check("an event that is too large is rejected and the link goes on", too_large)
check("a wrong key is refused", wrong_key)
print(f"{passed} passed, {failed} failed", flush=True)
raise SystemExit(0 if failed == 0 else 1)
