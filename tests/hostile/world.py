"""The server that hostile peers bother, and what is asked of it after each of them."""

import base64
import hashlib
import hmac
import json
import socket
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "crash"))
from kill import amqp  # noqa: E402

HUB, OTHER_HUB = "hostile", "hostile-other"
LATEST = "amqp.annotation.x-opt-offset > '@latest'"
SAS_SKEW_S = 300  # the server's grace after the end of a token
ENDED = (OSError, EOFError)


def reader_of(partition):
    return f"{HUB}/ConsumerGroups/$Default/Partitions/{partition}"


def sender_to(partition):
    return f"{HUB}/Partitions/{partition}"


class World:
    def __init__(self, server):
        self.server = server
        self.at, _ = server.start()
        server.create_event_hub(HUB, 2)
        server.create_event_hub(OTHER_HUB, 1)
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

    def doppel(self, *words):
        """A command of `doppel` and the JSON it prints."""
        done = subprocess.run([self.server._doppel, *words, "--data-dir", self.server.data_dir], check=True, capture_output=True,
                              text=True, timeout=60)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def rule(self, name, *rights):
        """Name and key of a rule on HUB."""
        rule = ("--name", name, "--eventhub-name", HUB)
        self.doppel("eventhubs", "eventhub", "authorization-rule", "create", *rule, "--rights", *rights)
        return name, self.doppel("eventhubs", "eventhub", "authorization-rule", "keys", "list", *rule)["primaryKey"]

    def token(self, event_hub, expires, key=None):
        """A SAS token of the namespace's rule for `event_hub`; `expires` in seconds since 1970."""
        resource = urllib.parse.quote(f"sb://{self.at.host}/{event_hub}", safe="")
        digest = hmac.new((key or self.key).encode(), f"{resource}\n{expires}".encode(), hashlib.sha256).digest()
        signature = urllib.parse.quote(base64.b64encode(digest).decode(), safe="")
        return f"SharedAccessSignature sr={resource}&sig={signature}&se={expires}&skn={self.user}"

    def anonymous(self):
        return amqp.Connection(self.at.host, self.at.amqp_plain_port, timeout=30)

    def put_token(self, connection, event_hub, expires, key=None):
        """The status of the answer."""
        name = f"cbs-{len(connection.links)}"
        replies = connection.attach(name, "$cbs", False, reply_to=name)
        connection.grant(replies, 1)
        requests = connection.attach(f"{name}-requests", "$cbs", True)
        connection.deliver(requests, amqp.section(amqp.PROPERTIES, ["1", None, "$cbs", None, name]) +
                           amqp.section(amqp.APPLICATION_PROPERTIES, {
                               "operation": "put-token", "type": "servicebus.windows.net:sastoken",
                               "name": f"sb://{self.at.host}/{event_hub}"}) +
                           amqp.section(amqp.VALUE, self.token(event_hub, expires, key)))
        connection.wait(lambda: replies.messages)
        return amqp.sections(replies.messages.pop())[amqp.APPLICATION_PROPERTIES]["status-code"]


def soon(seconds):
    """When a token ends that the server takes for so many seconds more."""
    return int(time.time()) - SAS_SKEW_S + seconds


def ending(connection):
    """How the server ends a connection or a session: the text of its close. It must do so."""
    try:
        while True:
            _, code, fields, _ = connection.read_frame()
            if code in (amqp.CLOSE, amqp.END):
                return amqp.condition_of(fields, 0)
    except amqp.Closed as end:
        return str(end)


def is_refused(link):
    return link.attach[6 if link.is_sender else 5] is None


def refusal(connection, address, is_sender, **more):
    """The condition an attach is refused with. It must be."""
    link = connection.attach(f"refused-{len(connection.links)}", address, is_sender, **more)
    assert is_refused(link), f"{address} was not refused"
    return amqp.condition_of(link.detached, 2)


def detached(connection, link):
    """The condition of the detach that comes for a link."""
    connection.wait(lambda: link.detached is not None)
    return amqp.condition_of(link.detached, 2)


def flow(link, credit, seen=1, window=amqp.OUR_WINDOW, count=None, echo=False):
    """Fields of a flow for a receiver; `seen`: the ID of the server's next transfer."""
    return [amqp.uint(seen), amqp.uint(window), amqp.uint(0), amqp.uint(amqp.OUR_WINDOW), amqp.uint(link.handle),
            amqp.uint(link.count if count is None else count), amqp.uint(credit), None, False, echo]


def names(messages):
    return [amqp.sections(message)[amqp.PROPERTIES][0] for message in messages]


def expect(got, wanted, what):
    assert got == wanted, f"{what}: {got} instead of {wanted}"
