#!/usr/bin/env python3
"""hostile_peers.py --doppel PATH

Peers that send garbage, stop in the middle or vanish while they are answered: `doppel serve` must go on, give their
descriptors back, and end with status 0 when it is told to. Ends with `1 passed, 0 failed` or the other way round."""

import argparse
import os
import random
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

START_S = 60  # a first start on a busy machine
STOP_S = 20   # twice what the server allows itself
SETTLE_S = 30
GARBAGE = 40
DROPPED = 500
DESCRIPTORS_KEPT = 30  # files of the store and such, that come and go by themselves


def start(program, data, log):
    server = subprocess.Popen([program, "serve", "--data-dir", data, "--https-port", "0", "--mqtt-port", "0"],
                              stdout=open(log, "w"), stderr=subprocess.STDOUT)
    end = time.monotonic() + START_S
    while time.monotonic() < end and server.poll() is None:
        found = re.search(r"HTTPS https://[^:]+:(\d+)\s+MQTT [^:]+:(\d+)", Path(log).read_text())
        if found:
            return server, int(found[1]), int(found[2])
        time.sleep(0.05)
    sys.exit("the server did not start:\n" + Path(log).read_text())


def tls(port):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", port), timeout=30)
    return context.wrap_socket(plain, server_hostname="localhost")


def reset(connection):
    """Vanishes with a reset, so that whatever the server still writes fails."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def check(is_fine, what):
    if not is_fine:
        print(f"hostile peers: {what}\n0 passed, 1 failed")
        sys.exit(1)


def bother(port, rng):
    for i in range(GARBAGE):
        plain = socket.create_connection(("127.0.0.1", port), timeout=30)
        plain.sendall(rng.randbytes(300) if i % 2 else b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(60))
        reset(plain)
        secure = tls(port)
        try:
            secure.sendall(rng.randbytes(2000))
            if i % 2:
                secure.sendall(b"GET /ca.pem HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
        except OSError:
            pass  # refused already
        reset(secure)


def ask_and_vanish(port):
    for _ in range(GARBAGE):
        secure = tls(port)
        secure.sendall(b"GET /ca.pem HTTP/1.1\r\nHost: localhost\r\n\r\n" * 30)
        reset(secure)


def is_healthy(port):
    with tls(port) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return connection.recv(100).startswith(b"HTTP/1.1 200")


def descriptors(server):
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--doppel", required=True)
    arguments = parser.parse_args()
    rng = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="doppel-hostile-") as work:
        server, https, mqtt = start(arguments.doppel, work + "/data", work + "/log")
        try:
            before = descriptors(server)
            try:
                for port in (https, mqtt):
                    bother(port, rng)
                ask_and_vanish(https)
                for i in range(DROPPED):
                    socket.create_connection(("127.0.0.1", mqtt if i % 2 else https), timeout=30).close()
            except OSError as error:
                server.poll()
                check(False, f"no connection any more ({error}); the server's end: {server.returncode}")
            check(server.poll() is None, f"the server ended with {server.poll()}")
            check(is_healthy(https), "the server does not answer any more")
            end = time.monotonic() + SETTLE_S
            while descriptors(server) > before + DESCRIPTORS_KEPT and time.monotonic() < end:
                time.sleep(0.1)
            check(descriptors(server) <= before + DESCRIPTORS_KEPT, "descriptors of peers that are gone are kept")
            server.send_signal(signal.SIGTERM)
            check(server.wait(STOP_S) == 0, f"the server ended with {server.returncode}")
        finally:
            if server.poll() is None:
                server.kill()
                server.wait()
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()
