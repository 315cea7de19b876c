"""A blocking AMQP 1.0 client of few lines, so that this test depends on no client library's retries or queues: what it was
told is exactly what came out of the socket. It also sets what libraries do not let one set (message formats), and sends
what no library would (the hostile peers)."""

import socket
import ssl
import struct

TIMEOUT_S = 30
BATCH = 0x80013700  # message format: each data section holds a whole message
FRAME_MAX = 65536
OUR_WINDOW = 1 << 30
SASL_HEADER, AMQP_HEADER = b"AMQP\x03\x01\x00\x00", b"AMQP\x00\x01\x00\x00"
OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
SASL_MECHANISMS, SASL_INIT, SASL_OUTCOME = 0x40, 0x41, 0x44
SOURCE, TARGET = 0x28, 0x29
ANNOTATIONS, PROPERTIES, APPLICATION_PROPERTIES, DATA, VALUE = 0x72, 0x73, 0x74, 0x75, 0x77
ACCEPTED, REJECTED = 0x24, 0x25
SELECTOR = "apache.org:selector-filter:string"


class Closed(EOFError):
    """The server ended the connection or the session, with a condition or without."""


class Symbol(str):
    __slots__ = ()


class Typed:
    """A number of a certain AMQP type: its format code and its bytes."""

    def __init__(self, code, layout, value):
        self.bytes = bytes([code]) + struct.pack(layout, value)


def ubyte(value): return Typed(0x50, "!B", value)
def ushort(value): return Typed(0x60, "!H", value)
def uint(value): return Typed(0x70, "!I", value)
def ulong(value): return Typed(0x80, "!Q", value)
def short(value): return Typed(0x61, "!h", value)
def int32(value): return Typed(0x71, "!i", value)
def long(value): return Typed(0x81, "!q", value)


class Described:
    def __init__(self, descriptor, value):
        self.descriptor, self.value = descriptor, value


def _sized(code8, code32, data, count=None):
    middle8 = b"" if count is None else bytes([count]) if count < 256 else None
    if middle8 is not None and len(data) + len(middle8) < 256:
        return bytes([code8, len(data) + len(middle8)]) + middle8 + data
    middle32 = b"" if count is None else struct.pack("!I", count)
    return bytes([code32]) + struct.pack("!I", len(data) + len(middle32)) + middle32 + data


def encode(value):
    if value is None:
        return b"\x40"
    if isinstance(value, bool):
        return b"\x41" if value else b"\x42"
    if isinstance(value, Typed):
        return value.bytes
    if isinstance(value, Described):
        return b"\x00" + encode(value.descriptor) + encode(value.value)
    if isinstance(value, Symbol):
        return _sized(0xA3, 0xB3, value.encode())
    if isinstance(value, str):
        return _sized(0xA1, 0xB1, value.encode())
    if isinstance(value, (bytes, bytearray)):
        return _sized(0xA0, 0xB0, bytes(value))
    if isinstance(value, list):
        return _sized(0xC0, 0xD0, b"".join(map(encode, value)), len(value)) if value else b"\x45"
    if isinstance(value, dict):
        return _sized(0xC1, 0xD1, b"".join(encode(part) for pair in value.items() for part in pair), 2 * len(value))
    raise TypeError(f"no AMQP type for {value!r}")


def section(code, value):
    return b"\x00\x53" + bytes([code]) + encode(value)


_FIXED = {0x50: "!B", 0x51: "!b", 0x52: "!B", 0x53: "!B", 0x54: "!b", 0x55: "!b", 0x56: "!?", 0x60: "!H", 0x61: "!h", 0x70: "!I",
          0x71: "!i", 0x72: "!f", 0x73: "!I", 0x80: "!Q", 0x81: "!q", 0x82: "!d", 0x83: "!q", 0x98: "!16s"}
_CONSTANT = {0x40: None, 0x41: True, 0x42: False, 0x43: 0, 0x44: 0}


def decode(data, at):
    """The value at `at` and where it ends. Numbers become int, whatever their type."""
    code, at = data[at], at + 1
    if code == 0x00:
        descriptor, at = decode(data, at)
        value, at = decode(data, at)
        return Described(descriptor, value), at
    return _decode(code, data, at)


def _decode(code, data, at):
    if code in _CONSTANT:
        return _CONSTANT[code], at
    if code == 0x45:
        return [], at
    if code in _FIXED:
        size = struct.calcsize(_FIXED[code])
        return struct.unpack_from(_FIXED[code], data, at)[0], at + size
    layout, width = ("!B", 1) if code >> 4 in (0xA, 0xC, 0xE) else ("!I", 4)
    size = struct.unpack_from(layout, data, at)[0]
    at, end = at + width, at + width + size
    if code >> 4 in (0xA, 0xB):
        raw = bytes(data[at:end])
        return (raw if code & 15 == 0 else raw.decode() if code & 15 == 1 else Symbol(raw.decode())), end
    count = struct.unpack_from(layout, data, at)[0]
    at, items = at + width, []
    if code >> 4 in (0xE, 0xF):
        item, at = data[at], at + 1
        for _ in range(count):
            value, at = _decode(item, data, at)
            items.append(value)
        return items, end
    for _ in range(count):
        value, at = decode(data, at)
        items.append(value)
    return (dict(zip(items[::2], items[1::2])) if code & 15 == 1 else items), end


def event(body, message_id, annotations=None):
    """An encoded message."""
    head = section(ANNOTATIONS, {Symbol(name): value for name, value in annotations.items()}) if annotations else b""
    return head + section(PROPERTIES, [message_id]) + section(DATA, body)


def batch(events, annotations=None):
    """The body of a delivery of format BATCH."""
    head = section(ANNOTATIONS, {Symbol(name): value for name, value in annotations.items()}) if annotations else b""
    return head + b"".join(section(DATA, one) for one in events)


def sections(message):
    """Code to value of each section of an encoded message; a body of several sections is not for this test."""
    at, found = 0, {}
    while at < len(message):
        one, at = decode(message, at)
        found[one.descriptor] = one.value
    return found


def frame(channel, performative, payload=b"", kind=0):
    body = (encode(performative) if performative else b"") + payload
    return struct.pack("!IBBH", 8 + len(body), 2, kind, channel) + body


def performative(code, fields):
    return Described(ulong(code), fields)


class Link:
    def __init__(self, name, handle, is_sender):
        self.name, self.handle, self.is_sender = name, handle, is_sender
        self.attach = None     # fields of the answer
        self.detached = None   # fields of the server's detach
        self.count = 0         # deliveries of this link
        self.limit = 0         # a sender may go up to this count
        self.messages = []     # received and not taken yet
        self.partial = b""


class Connection:
    """One connection with one session on channel 0. Not for several threads."""

    def __init__(self, host, port, user=None, password=None, ca_file=None, timeout=TIMEOUT_S, begin=True):
        self._buffer = bytearray()
        self.links, self._remote = [], {}
        self.outcomes = {}  # delivery ID to None (accepted) or the condition of the refusal
        self._next_delivery = self._next_transfer = 0
        self._window_end = 0
        raw = socket.create_connection((host, port), timeout)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.local_port = raw.getsockname()[1]
        context = ssl.create_default_context(cafile=ca_file) if ca_file else None
        self.socket = context.wrap_socket(raw, server_hostname=host) if context else raw
        self._sasl(user, password)
        if begin:
            self._begin(host)

    def _sasl(self, user, password):
        mechanism, response = ("PLAIN", f"\0{user}\0{password}".encode()) if user else ("ANONYMOUS", b"")
        self.socket.sendall(SASL_HEADER + frame(0, performative(SASL_INIT, [Symbol(mechanism), response, None]), kind=1))
        self._header(SASL_HEADER)
        self._expect(SASL_MECHANISMS)
        code = self._expect(SASL_OUTCOME)[0]
        if code:
            raise PermissionError(f"SASL outcome {code}")

    def _begin(self, host):
        self.socket.sendall(
            AMQP_HEADER + frame(0, performative(OPEN, ["doppel-test", host, uint(FRAME_MAX), ushort(255)])) +
            frame(0, performative(BEGIN, [None, uint(0), uint(OUR_WINDOW), uint(OUR_WINDOW), uint(255)])))
        self._header(AMQP_HEADER)
        self._expect(OPEN)
        answer = self._expect(BEGIN)
        self._window_end = answer[2]

    def attach(self, name, address, is_sender, wait=True, **more):
        """`more`: filter, properties, capabilities; `reply_to` is the target of a receiver."""
        link = Link(name, len(self.links), is_sender)
        self.links.append(link)
        filters = {Symbol(SELECTOR): Described(Symbol(SELECTOR), more["filter"])} if "filter" in more else None
        source = Described(ulong(SOURCE), [None if is_sender else address] + [None] * 6 + [filters])
        target = Described(ulong(TARGET), [address if is_sender else more.get("reply_to")])
        properties = more.get("properties") and {Symbol(key): value for key, value in more["properties"].items()}
        self.send(ATTACH, [name, uint(link.handle), not is_sender, ubyte(0 if is_sender else 1), ubyte(0), source, target, None,
                           None, uint(0) if is_sender else None, None, None, more.get("capabilities"), properties])
        if wait:
            self.wait(lambda: link.attach is not None)
            if link.attach[6 if is_sender else 5] is None:  # refused: its detach follows
                self.wait(lambda: link.detached is not None)
        return link

    def grant(self, link, credit, drain=False):
        """Receives up to `credit` more."""
        self.send(FLOW, [uint(0), uint(OUR_WINDOW), uint(self._next_transfer), uint(OUR_WINDOW), uint(link.handle),
                         uint(link.count), uint(credit), None, drain])

    def deliver(self, link, message, message_format=0):
        """Sends a delivery, in several frames when it is large, and returns its ID. Waits for credit."""
        self.wait(lambda: link.count < link.limit)
        delivery, tag = self._next_delivery, struct.pack("!I", self._next_delivery)
        self._next_delivery += 1
        link.count += 1
        at, room = 0, FRAME_MAX - 64
        while True:
            piece, at = message[at:at + room], at + room
            self.wait(lambda: self._next_transfer < self._window_end)
            self._next_transfer += 1
            self.send(TRANSFER, [uint(link.handle), uint(delivery), tag, uint(message_format), False, at < len(message)], piece)
            if at >= len(message):
                return delivery

    def send(self, code, fields, payload=b""):
        self.socket.sendall(frame(0, performative(code, fields), payload))

    def wait(self, is_done):
        while not is_done():
            self.step()

    def request(self, address, properties):
        """Asks a node such as `$management`: status and body."""
        where = f"replies-{len(self.links)}"
        replies = self.attach(where, address, False, reply_to=where)
        self.grant(replies, 1)
        requests = self.attach(f"requests-{len(self.links)}", address, True)
        self.deliver(requests, section(PROPERTIES, ["1", None, address, None, where]) +
                     section(APPLICATION_PROPERTIES, properties) + section(VALUE, None))
        self.wait(lambda: replies.messages)
        answer = sections(replies.messages.pop())
        return answer[APPLICATION_PROPERTIES]["status-code"], answer.get(VALUE)

    def step(self):
        """Takes one frame."""
        channel, code, fields, payload = self.read_frame()
        if code in (CLOSE, END):
            raise Closed(f"the server ended the {'connection' if code == CLOSE else 'session'}: {condition_of(fields, 0)}")
        if code == ATTACH:
            link = next(one for one in self.links if one.name == fields[0])
            self._remote[fields[1]], link.attach = link, fields
        elif code == FLOW:
            self._window_end = (fields[0] or 0) + fields[1]
            if fields[4] is not None and self._remote[fields[4]].is_sender:
                self._remote[fields[4]].limit = (fields[5] or 0) + fields[6]
        elif code == TRANSFER:
            self._take_transfer(self._remote[fields[0]], fields, payload)
        elif code == DISPOSITION and fields[0]:
            for delivery in range(fields[1], (fields[1] if fields[2] is None else fields[2]) + 1):
                state = fields[4]
                self.outcomes[delivery] = None if state.descriptor == ACCEPTED else condition_of(state.value, 0)
        elif code == DETACH:
            self._remote[fields[0]].detached = fields

    def _take_transfer(self, link, fields, payload):
        link.partial += payload
        if not (len(fields) > 5 and fields[5]):
            link.messages.append(link.partial)
            link.partial, link.count = b"", link.count + 1

    def drain(self, timeout=2):
        """Takes what still arrives on a connection that ends."""
        try:
            self.socket.settimeout(timeout)
            while True:
                self.step()
        except (OSError, EOFError):
            pass

    def close(self):
        try:
            self.send(CLOSE, [None])
            self.socket.close()
        except OSError:
            pass

    def vanish(self):
        """Ends TCP without a word of AMQP or TLS, with answers unread."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def read_frame(self):
        """Channel, code of the performative (None: empty frame), fields padded with None, payload."""
        size = struct.unpack("!I", self._bytes(4))[0]
        data = bytes(self._bytes(size))
        del self._buffer[:size]
        if size <= 4 * data[4]:
            return 0, None, [], b""
        one, at = decode(data, 4 * data[4])
        return struct.unpack("!H", data[6:8])[0], one.descriptor, one.value + [None] * (14 - len(one.value)), data[at:]

    def _expect(self, code):
        channel, got, fields, _ = self.read_frame()
        if got != code:
            raise Closed(f"performative {got} {fields} instead of {code}")
        return fields

    def _header(self, header):
        got = bytes(self._bytes(8))
        del self._buffer[:8]
        if got != header:
            raise Closed(f"header {got!r}")

    def _bytes(self, count):
        while len(self._buffer) < count:
            data = self.socket.recv(65536)
            if not data:
                raise Closed("the server closed the connection")
            self._buffer += data
        return self._buffer[:count]


def condition_of(fields, at):
    """The condition of the error at `at`, as text, or 'without a reason'."""
    error = fields[at] if len(fields) > at else None
    return str(error.value[0]) if error else "without a reason"
