#!/usr/bin/env python3
"""Writes proton.txt: bytes made by Qpid Proton, with what was put in as text (the notation is told in
src/protocol/amqp/testing.h; the lines are those of make_rhea.mjs).

Only needed to make the file anew: python3-qpid-proton 0.37 (Debian), then
    /usr/bin/python3 make_proton.py

Proton encodes nested arrays, which rhea does not, leaves trailing nulls away, and numbers nested
values in its own ways. The frames are taken from a connection that it opens on its own.
"""

import re
import uuid
from pathlib import Path

import proton
from proton import (Connection, Data, Delivery, Message, SASL, Transport, UNDESCRIBED, symbol, timestamp,
                    ulong, int32, byte, short, ubyte, ushort, uint, float32, char)

lines = []


def add(name, kind, data, meaning):
    lines.append("\t".join((name, kind, bytes(data).hex(), meaning)))


def escaped(text):
    data = text.encode() if isinstance(text, str) else bytes(text)
    return "".join(chr(b) if b < 0x80 and re.match(r"[A-Za-z0-9_.:/$@*> '-]", chr(b)) else f"%{b:02x}"
                   for b in data)


def value(name, put, meaning):
    data = Data()
    put(data)
    add(name, "value", data.encode(), meaning)


def number(type_name, put, *numbers):
    for n in numbers:
        value(f"{type_name}-{n}", lambda d, n=n: put(d, n), f"{type_name}:{n}")


def array(described, element, *puts):
    def put(data):
        data.put_array(described, element)
        data.enter()
        for item in puts:
            item(data)
        data.exit()
    return put


def compound(begin, *puts):
    def put(data):
        begin(data)
        data.enter()
        for item in puts:
            item(data)
        data.exit()
    return put


def list_of(*puts):
    return compound(Data.put_list, *puts)


def map_of(*puts):
    return compound(Data.put_map, *puts)


def described(*puts):
    return compound(Data.put_described, *puts)


def s(text):
    return lambda d: d.put_string(text)


def sym(text):
    return lambda d: d.put_symbol(symbol(text))


def u(n):
    return lambda d: d.put_uint(n)


a_uuid = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")

value("null", Data.put_null, "null")
value("true", lambda d: d.put_bool(True), "bool:true")
value("false", lambda d: d.put_bool(False), "bool:false")
number("ubyte", Data.put_ubyte, 0, 255)
number("ushort", Data.put_ushort, 0, 65535)
number("uint", Data.put_uint, 0, 1, 255, 256, 4294967295)
number("ulong", Data.put_ulong, 0, 255, 256, 18446744073709551615)
number("byte", Data.put_byte, -128, 127)
number("short", Data.put_short, -32768, 32767)
number("int", Data.put_int, -2147483648, -129, -128, 0, 127, 128, 2147483647)
number("long", Data.put_long, -9223372036854775808, -129, -128, 0, 127, 128, 9223372036854775807)
number("char", lambda d, n: d.put_char(chr(n)), 65, 0x1F600)
number("timestamp", Data.put_timestamp, 0, 1700000000123, -62135596800000)
value("float", lambda d: d.put_float(1.5), "float:3fc00000")
value("double", lambda d: d.put_double(22.75), "double:4036c00000000000")
value("decimal32", lambda d: d.put_decimal32(0x22500001), "decimal32:22500001")
value("decimal64", lambda d: d.put_decimal64(0x0011223344556677), "decimal64:0011223344556677")
value("decimal128", lambda d: d.put_decimal128(a_uuid.bytes),
      "decimal128:00112233445566778899aabbccddeeff")
value("uuid", lambda d: d.put_uuid(a_uuid), "uuid:00112233445566778899aabbccddeeff")
value("binary", lambda d: d.put_binary(b"\x00\xff"), "binary:%00%ff")
value("binary-long", lambda d: d.put_binary(b"\x07" * 256), "binary:" + "%07" * 256)
value("string", s("Grüße, 世界 🚀"), "string:" + escaped("Grüße, 世界 🚀"))
value("string-255", s("a" * 255), "string:" + "a" * 255)
value("string-256", s("a" * 256), "string:" + "a" * 256)
value("symbol", sym("x-opt-offset"), "symbol:x-opt-offset")
value("symbol-256", sym("a" * 256), "symbol:" + "a" * 256)
value("list-empty", list_of(), "[]")
value("list", list_of(u(1), Data.put_null, list_of(s("x"))), "[uint:1,null,[string:x]]")
value("list-300", list_of(*[u(i) for i in range(300)]),
      "[" + ",".join(f"uint:{i}" for i in range(300)) + "]")
value("map-empty", map_of(), "{}")
value("map", map_of(sym("k"), u(0), s("l"), map_of()), "{symbol:k=uint:0,string:l={}}")
value("array-of-string", array(False, Data.STRING, s("0"), s("1")), "array<string>[string:0,string:1]")
value("array-of-symbol", array(False, Data.SYMBOL, sym("a"), sym("b" * 256)),
      "array<symbol>[symbol:a,symbol:" + "b" * 256 + "]")
value("array-empty", array(False, Data.INT), "array<int>[]")
value("array-of-bool", array(False, Data.BOOL, lambda d: d.put_bool(True), lambda d: d.put_bool(False)),
      "array<bool>[bool:true,bool:false]")
value("array-of-ulong", array(False, Data.ULONG, lambda d: d.put_ulong(1), lambda d: d.put_ulong(2**40)),
      "array<ulong>[ulong:1,ulong:1099511627776]")
value("array-of-list", array(False, Data.LIST, list_of(u(1)), list_of()), "array<list>[[uint:1],[]]")
value("array-of-map", array(False, Data.MAP, map_of(s("k"), s("v"))), "array<map>[{string:k=string:v}]")
value("array-of-array", array(False, Data.ARRAY, array(False, Data.INT, lambda d: d.put_int(1)),
                              array(False, Data.STRING, s("x"), s("y"))),
      "array<array>[array<int>[int:1],array<string>[string:x,string:y]]")
value("array-of-described", array(True, Data.INT, sym("point"), lambda d: d.put_int(1), lambda d: d.put_int(-1)),
      "array<@symbol:point int>[int:1,int:-1]")
value("described", described(lambda d: d.put_ulong(0x468C00000004), s("x")), "@ulong:77567109365764(string:x)")
value("described-twice", described(sym("a"), described(sym("b"), Data.put_null)), "@symbol:a(@symbol:b(null))")


# --- Frames that a client and a server send each other, kept as they leave.
def frames_of(data):
    """(type, body) of each frame; protocol headers are passed over."""
    while data:
        if data[:4] == b"AMQP":
            data = data[8:]
            continue
        size, offset, kind = int.from_bytes(data[:4], "big"), data[4] * 4, data[5]
        if size > offset:
            yield kind, data[offset:size]
        data = data[size:]


class Peer:
    def __init__(self, server, sasl=True):
        self.transport = Transport(Transport.SERVER if server else Transport.CLIENT)
        if sasl:
            self.transport.sasl().allowed_mechs("ANONYMOUS")
        self.connection = Connection()
        self.connection.collect(proton.Collector())
        self.transport.bind(self.connection)
        self.sent = []

    def move_to(self, other):
        while self.transport.pending() > 0:
            data = self.transport.peek(min(self.transport.pending(), 65536))
            self.sent += frames_of(data)
            other.transport.push(data)
            self.transport.pop(len(data))


def pump(a, b):
    for _ in range(6):
        a.move_to(b)
        b.move_to(a)


# The order in which Proton sends is known, so what each frame means stands in a list; a frame too
# many or too few stops the script.
def keep(peer, prefix, meanings):
    if len(peer.sent) != len(meanings):
        raise SystemExit(f"{prefix}: {len(peer.sent)} frames for {len(meanings)} meanings: "
                         f"{[body.hex() for _, body in peer.sent]}")
    for number_, ((kind, body), meaning) in enumerate(zip(peer.sent, meanings)):
        add(f"{prefix}-{number_}", "sasl" if kind == 1 else "performative", body, meaning)


client, server = Peer(server=False), Peer(server=True)
client.connection.container, client.connection.hostname = "client", "localhost"
server.connection.container = "server"
client.connection.properties = {symbol("product"): "test"}
client.connection.desired_capabilities = [symbol("a"), symbol("b")]
client.connection.open()
session = client.connection.session()
session.open()
sender = session.sender("s1")
sender.target.address = "eh1/Partitions/0"
sender.source.address = "client"
sender.snd_settle_mode = proton.Link.SND_UNSETTLED
sender.open()
receiver = session.receiver("r1")
receiver.source.address = "eh1/ConsumerGroups/$Default/Partitions/0"
receiver.source.filter.put_map()
receiver.source.filter.enter()
receiver.source.filter.put_symbol(symbol("apache.org:selector-filter:string"))
receiver.source.filter.put_described()
receiver.source.filter.enter()
receiver.source.filter.put_symbol(symbol("apache.org:selector-filter:string"))
receiver.source.filter.put_string("amqp.annotation.x-opt-offset > '-1'")
receiver.source.filter.exit()
receiver.source.filter.exit()
receiver.properties = {symbol("com.microsoft:epoch"): 3}
receiver.target.address = "me"
receiver.open()
receiver.flow(300)
pump(client, server)
server.connection.open()
server_session = server.connection.session_head(0)
server_session.open()
link = server.connection.link_head(0)
while link:
    link.source.copy(link.remote_source)
    link.target.copy(link.remote_target)
    link.open()
    if link.is_receiver:
        link.flow(2)
    link = link.next(0)
pump(client, server)
first = sender.delivery("t1")
sender.send(b"payload-bytes")
sender.advance()
pump(client, server)
incoming = server.connection.link_head(0).current
incoming.update(Delivery.ACCEPTED)
incoming.settle()
pump(client, server)
second = sender.delivery("t2")
sender.send(b"payload-bytes")
sender.advance()
pump(client, server)
link = server.connection.link_head(0)
refused = link.current
refused.local.condition = proton.Condition("com.microsoft:server-busy", "later", {symbol("a"): "b"})
refused.update(Delivery.REJECTED)
refused.settle()
link.condition = proton.Condition("amqp:link:stolen", "New receiver")
link.close()
pump(client, server)
first.settle()
second.settle()
sender.close()
client.connection.close()
pump(client, server)
server.connection.condition = proton.Condition("amqp:connection:forced", "bye")
server.connection.close()
pump(client, server)

keep(client, "client", [
    "sasl-init mechanism=symbol:ANONYMOUS initial-response=binary:anonymous",
    "open container-id=string:client hostname=string:localhost channel-max=ushort:32767 "
    "desired-capabilities=a,b properties={symbol:product=string:test}",
    "begin incoming-window=uint:2147483647 outgoing-window=uint:2147483647",
    "attach name=string:s1 snd-settle-mode=0 source=(source address=string:client) "
    "target=(target address=string:eh1/Partitions/0) initial-delivery-count=uint:0 max-message-size=ulong:0",
    "attach name=string:r1 handle=uint:1 role=receiver source=(source address=string:eh1/ConsumerGroups/$Default/Partitions/0 "
    "filter={symbol:apache.org:selector-filter:string=@symbol:apache.org:selector-filter:string(string:amqp.annotation.x-opt-offset > '-1')}) "
    "target=(target address=string:me) initial-delivery-count=uint:0 max-message-size=ulong:0 properties={symbol:com.microsoft:epoch=long:3}",
    "flow incoming-window=uint:2147483647 outgoing-window=uint:2147483647 handle=uint:1 "
    "delivery-count=uint:0 link-credit=uint:300",
    "transfer delivery-id=uint:0 delivery-tag=t1 message-format=uint:0",
    "transfer delivery-id=uint:1 delivery-tag=t2 message-format=uint:0",
    "detach closed=bool:true",
    "close",
])
keep(server, "server", [
    "sasl-mechanisms sasl-server-mechanisms=ANONYMOUS",
    "sasl-outcome",
    "open container-id=string:server channel-max=ushort:32767",
    "begin remote-channel=ushort:0 incoming-window=uint:2147483647 outgoing-window=uint:2147483647",
    "attach name=string:s1 role=receiver source=(source address=string:client) "
    "target=(target address=string:eh1/Partitions/0) initial-delivery-count=uint:0 max-message-size=ulong:0",
    "attach name=string:r1 handle=uint:1 source=(source address=string:eh1/ConsumerGroups/$Default/Partitions/0 "
    "filter={symbol:apache.org:selector-filter:string=@symbol:apache.org:selector-filter:string(string:amqp.annotation.x-opt-offset > '-1')}) "
    "target=(target address=string:me) initial-delivery-count=uint:0 max-message-size=ulong:0",
    "flow next-incoming-id=uint:0 incoming-window=uint:2147483647 outgoing-window=uint:2147483647 handle=uint:0 "
    "delivery-count=uint:0 link-credit=uint:2",
    "disposition role=receiver settled=bool:true state=(accepted)",
    "disposition role=receiver first=uint:1 settled=bool:true state=(rejected error=(error "
    "condition=symbol:com.microsoft:server-busy description=string:later info={symbol:a=string:b}))",
    "detach closed=bool:true error=(error condition=symbol:amqp:link:stolen description=string:New receiver)",
    "close error=(error condition=symbol:amqp:connection:forced description=string:bye)",
])


# --- Messages.
def message(name, meaning, **fields):
    m = Message()
    for key, content in fields.items():
        setattr(m, key, content)
    add(name, "message", m.encode(), meaning)


message("message-data", "data hello", body=b"hello", inferred=True)
message("message-value", "value binary:hello", body=b"hello")
message("message-map", "value {string:k=long:1}", body={"k": 1})
message("message-full",
        "header durable=bool:true priority=ubyte:5 ttl=uint:1000 first-acquirer=bool:true delivery-count=uint:2 | "
        "delivery-annotations {symbol:d=long:1} | message-annotations {symbol:x-opt-sequence-number=long:7} | "
        "properties message-id=ulong:5 user-id=binary:me to=string:you subject=string:s reply-to=string:r "
        "correlation-id=uuid:00112233445566778899aabbccddeeff content-type=symbol:text/plain "
        "content-encoding=symbol:utf-8 absolute-expiry-time=timestamp:1700000000000 creation-time=timestamp:1600000000000 "
        "group-id=string:g group-sequence=uint:9 reply-to-group-id=string:rg | "
        "application-properties {string:s=string:v,string:u=ubyte:3,string:x=@symbol:d(int:1)} | data %00%ff",
        durable=True, priority=5, ttl=1.0, first_acquirer=True, delivery_count=2, instructions={symbol("d"): 1},
        annotations={symbol("x-opt-sequence-number"): 7}, id=ulong(5), user_id=b"me", address="you", subject="s",
        reply_to="r", correlation_id=a_uuid, content_type="text/plain", content_encoding="utf-8",
        expiry_time=1700000000.0, creation_time=1600000000.0, group_id="g", group_sequence=9, reply_to_group_id="rg",
        properties={"s": "v", "u": ubyte(3), "x": proton.Described(symbol("d"), int32(1))}, body=b"\x00\xff",
        inferred=True)
message("message-types",
        "application-properties {string:b=byte:-1,string:h=short:2,string:w=ushort:3,string:i=uint:4,string:f=float:3f000000,"
        "string:d=double:3fe0000000000000,string:t=timestamp:5,string:c=char:65,string:y=symbol:z,string:n=null,string:l=[long:1]}",
        properties={"b": byte(-1), "h": short(2), "w": ushort(3), "i": uint(4), "f": float32(0.5), "d": 0.5, "t": timestamp(5),
                    "c": char("A"), "y": symbol("z"), "n": None, "l": [1]})

if __name__ == "__main__":
    Path(__file__).with_name("proton.txt").write_text(
        f"# Made by make_proton.py with Qpid Proton {proton.VERSION_MAJOR}.{proton.VERSION_MINOR}: name, kind, "
        "bytes, meaning. Not to be edited.\n" + "\n".join(lines) + "\n", encoding="utf-8")
