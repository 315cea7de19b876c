"""An MQTT 3.1.1 client of a hundred lines, so that this test depends on no client library's retries or queues: what it
was told is exactly what came out of the socket."""

import socket
import ssl
import struct

CONNACK, PUBLISH, PUBACK, SUBACK, UNSUBACK, PINGRESP = 2, 3, 4, 9, 11, 13
TIMEOUT_S = 60


class Refused(Exception):
    """The server answered, and it was a refusal."""


def _text(value):
    data = value.encode()
    return struct.pack("!H", len(data)) + data


def _packet(first, body):
    length, size = b"", len(body)
    while True:
        size, digit = size // 128, size % 128
        length += bytes([digit | (128 if size else 0)])
        if not size:
            return bytes([first]) + length + body


class Client:
    def __init__(self, host, port, ca_file, client_id, user, password):
        self._buffer = b""
        self._next_id = 0
        self.acknowledged = []  # packet IDs, in order of arrival
        context = ssl.create_default_context(cafile=ca_file)
        raw = socket.create_connection((host, port), TIMEOUT_S)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.local_port = raw.getsockname()[1]
        self._socket = context.wrap_socket(raw, server_hostname=host)
        body = _text("MQTT") + bytes([4, 0xC2]) + struct.pack("!H", 180) + _text(client_id) + _text(user) + _text(password)
        self._socket.sendall(_packet(0x10, body))
        code = self._expect(CONNACK)[1]
        if code != 0:
            raise Refused(f"CONNACK {code} for {client_id}")

    def subscribe(self, topic):
        self._next_id += 1
        self._socket.sendall(_packet(0x82, struct.pack("!H", self._next_id) + _text(topic) + b"\x01"))
        if self._expect(SUBACK)[2] > 1:
            raise Refused(f"SUBACK for {topic}")

    def publish(self, topic, payload):
        """Sends at QoS 1 and returns the packet ID; its acknowledgement appears in `acknowledged`."""
        self._next_id = self._next_id % 65535 + 1
        self._socket.sendall(_packet(0x32, _text(topic) + struct.pack("!H", self._next_id) + payload))
        return self._next_id

    def wait_for_acknowledgements(self, count):
        """Until `count` packets in all were acknowledged."""
        while len(self.acknowledged) < count:
            self._take(self._read_packet())

    def read_message(self):
        """The next message from the server: topic and payload."""
        while True:
            message = self._take(self._read_packet())
            if message:
                return message

    def drain(self):
        """Takes what still arrives on a connection that ends."""
        try:
            self._socket.settimeout(2)
            while True:
                self._take(self._read_packet())
        except (OSError, EOFError, ssl.SSLError):
            pass

    def close(self):
        try:
            self._socket.sendall(b"\xe0\x00")
            self._socket.close()
        except OSError:
            pass

    def vanish(self):
        """Ends both directions of TCP without a word of TLS or MQTT: the server reads the end, its next answer is met by a
        reset, and the one after that finds a broken pipe."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _take(self, packet):
        kind, body = packet[0] >> 4, packet[1:]
        if kind == PUBACK:
            self.acknowledged.append(struct.unpack("!H", body)[0])
        elif kind == PUBLISH:
            size = struct.unpack("!H", body[:2])[0]
            topic, rest = body[2:2 + size].decode(), body[2 + size:]
            if packet[0] & 6:
                self._unsent_ack = rest[:2]
                rest = rest[2:]
                self.on_message()
                self._socket.sendall(_packet(0x40, self._unsent_ack))
            return topic, rest
        return None

    def on_message(self):
        """Called before a message is acknowledged."""

    def _expect(self, kind):
        while True:
            packet = self._read_packet()
            if packet[0] >> 4 == kind:
                return packet[1:]
            self._take(packet)

    def _read_packet(self):
        """First byte and body."""
        size, shift, at = 0, 0, 1
        while True:
            digit = self._bytes(at + 1)[at]
            size |= (digit & 127) << shift
            shift, at = shift + 7, at + 1
            if digit < 128:
                break
        data = self._bytes(at + size)
        packet, self._buffer = bytes([data[0]]) + data[at:at + size], self._buffer[at + size:]
        return packet

    def _bytes(self, count):
        while len(self._buffer) < count:
            data = self._socket.recv(16384)
            if not data:
                raise EOFError("the server closed the connection")
            self._buffer += data
        return self._buffer
