"""Event Hubs beside NATS JetStream and RabbitMQ: the names `events...` of bench/run.

Every server is written to and read from by the same program (event_load.cc) over plain TCP on loopback: 4 logs, one
connection each. Each server runs alone and is ended before the next one starts.
"""

import base64, hashlib, json, os, re, signal, socket, subprocess, threading, time

from __main__ import Fail, cpu_s, free_port, rss_bytes, show, wait_for_port

LOGS = 4
BATCH = 100
BYTES = 1024
IDLE = 1000
SECONDS = int(os.environ.get("BENCH_SECONDS", "5"))
IDLE_PARTITIONS, IDLE_PER_PARTITION = 32, 5  # Event Hubs admits five readers to a partition of one consumer group
SYNCS = "fsync,fdatasync,msync,sync_file_range,sync,syncfs"
LOAD_LIMIT_S = 60
BEAM_WAIT_S = 300


class Server:
    """What a load needs to know: `common` settings, and how a log of a kind is written to and read from."""

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()


class Doppel(Server):
    name = "Doppel"

    def __init__(self, bench):
        self.process, env, _ = bench.start_doppel("events", "--amqp-plain-port", "0")
        self.pid = self.process.pid
        parts = dict(part.split("=", 1) for part in env["DOPPEL_EH_EMULATOR_CONNECTION"].rstrip(";").split(";"))
        cli = [bench.doppel, "eventhubs", "eventhub"]
        at = ["--data-dir", env["data"]]

        def call(*words):
            subprocess.run([*cli, *words, *at], check=True, capture_output=True)

        for kind in ("single", "batch", "timed", "idle"):
            call("create", "--name", kind, "--message-retention", "1", "--partition-count",
                 str(IDLE_PARTITIONS if kind == "idle" else LOGS))
        for group in range(-(-IDLE // (IDLE_PARTITIONS * IDLE_PER_PARTITION))):
            call("consumer-group", "create", "--eventhub-name", "idle", "--name", f"g{group}")
        self.common = dict(protocol="amqp", format="eventhubs", port=parts["Endpoint"].rstrip("/").rsplit(":", 1)[1],
                           user=parts["SharedAccessKeyName"], password=parts["SharedAccessKey"])

    def writes(self, kind):
        return dict(write=kind + "/Partitions/{0}")

    def reads(self, kind, is_new=False):
        position = "'@latest'" if is_new else "'-1'"
        groups = dict(logs=IDLE_PARTITIONS, per_group=IDLE_PARTITIONS * IDLE_PER_PARTITION) if kind == "idle" else {}
        return dict(read=f"{kind}/ConsumerGroups/{'g{1}' if groups else '$Default'}/Partitions/{{0}}",
                    filter="apache.org:selector-filter:string",
                    filter_value=f"amqp.annotation.x-opt-offset > {position}", **groups)


class Nats(Server):
    name = "NATS JetStream, file store"

    def __init__(self, bench):
        port, config = free_port(), os.path.join(bench.work, "nats.conf")
        with open(config, "w") as file:
            file.write(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{bench.work}/nats" }}\n')
        self.process = bench.start(["nats-server", "-c", config], stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        wait_for_port(port)
        self.common = dict(protocol="nats", port=port)
        self.make_streams(port)

    def make_streams(self, port):
        with socket.create_connection(("127.0.0.1", port)) as line:
            file = line.makefile("rwb")
            file.readline()
            file.write(b'CONNECT {"verbose":false,"pedantic":false}\r\nSUB answers 1\r\n')
            for kind in ("single", "batch", "timed", "idle"):
                for log in range(LOGS):
                    name = f"{kind}-{log}"
                    body = json.dumps({"name": name, "subjects": [name], "storage": "file"}).encode()
                    file.write(b"PUB $JS.API.STREAM.CREATE.%s answers %d\r\n%s\r\n" % (name.encode(), len(body), body))
                    file.flush()
                    while not (head := file.readline()).startswith(b"MSG"):
                        pass
                    answer = json.loads(file.read(int(head.split()[-1]) + 2))
                    if "error" in answer:
                        raise Fail(f"no stream: {answer}")

    def writes(self, kind):
        return dict(write=kind + "-{0}", logs=LOGS)

    def reads(self, kind, is_new=False):
        return dict(read=kind + "-{0}", logs=LOGS)


class Rabbit(Server):
    """The broker with its AMQP 1.0 plugin. Its node needs a port mapper (epmd), which is a child of ours too."""

    def __init__(self, bench, queue_type):
        self.name = f"RabbitMQ, {queue_type} queues"
        self.queue_type = queue_type
        home = os.path.join(bench.work, "rabbit-" + queue_type)
        os.mkdir(home)
        port, mapper = free_port(), str(free_port())
        salt = b"salt"
        password = base64.b64encode(salt + hashlib.sha256(salt + b"bench").digest()).decode()
        queues = [{"name": f"{kind}-{log}", "vhost": "/", "durable": True, "auto_delete": False,
                   "arguments": {"x-queue-type": queue_type}}
                  for kind in ("single", "batch", "timed", "idle") for log in range(LOGS)]
        definitions = {"users": [{"name": "bench", "password_hash": password, "tags": "administrator",
                                  "hashing_algorithm": "rabbit_password_hashing_sha256"}],
                       "vhosts": [{"name": "/"}], "queues": queues,
                       "permissions": [{"user": "bench", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}]}
        files = {"definitions.json": json.dumps(definitions), "plugins": "[rabbitmq_amqp1_0].\n",
                 "rabbit.conf": f"listeners.tcp.1 = 127.0.0.1:{port}\nload_definitions = {home}/definitions.json\n"}
        for name, text in files.items():
            with open(os.path.join(home, name), "w") as file:
                file.write(text)
        self.mapper = bench.start(["epmd", "-port", mapper, "-address", "127.0.0.1"])
        env = {"HOME": home, "PATH": os.environ["PATH"], "ERL_EPMD_PORT": mapper, "ERL_EPMD_ADDRESS": "127.0.0.1",
               "RABBITMQ_NODENAME": "bench@localhost", "RABBITMQ_MNESIA_BASE": home + "/mnesia",
               "RABBITMQ_LOG_BASE": home + "/log", "RABBITMQ_CONFIG_FILE": home + "/rabbit.conf",
               "RABBITMQ_ENABLED_PLUGINS_FILE": home + "/plugins", "RABBITMQ_DIST_PORT": str(free_port()),
               "RABBITMQ_PID_FILE": home + "/pid", "RABBITMQ_CONF_ENV_FILE": "/dev/null"}
        log = open(home + "/out.log", "w")
        self.process = bench.start(["/usr/lib/rabbitmq/bin/rabbitmq-server"], env=env, stdout=log, stderr=log)
        began = time.monotonic()
        while "Starting broker... completed" not in open(home + "/out.log").read():
            if self.process.poll() is not None or time.monotonic() - began > BEAM_WAIT_S:
                raise Fail(f"RabbitMQ does not start: {open(home + '/out.log').read()[-500:]}")
            time.sleep(0.2)
        with open(home + "/pid") as file:
            self.pid = int(file.read())
        self.common = dict(protocol="amqp", port=port, user="bench", password="bench")

    def end(self):
        os.kill(self.pid, signal.SIGTERM)
        self.process.wait()
        self.mapper.terminate()
        self.mapper.wait()

    def writes(self, kind):
        return dict(write="/amq/queue/" + kind + "-{0}", logs=LOGS)

    def reads(self, kind, is_new=False):
        offset = dict(filter="rabbitmq:stream-offset-spec", filter_value="next" if is_new else "first")
        return dict(read="/amq/queue/" + kind + "-{0}", logs=LOGS, **(offset if self.queue_type == "stream" else {}))


class Process:
    """For cpu_s and rss_bytes."""

    def __init__(self, pid):
        self.pid = pid


def load(bench, server, mode, **settings):
    """Runs the load; yields its result with the server's processor time and the growth of its memory."""
    watched = Process(server.pid)
    rss = rss_bytes(watched)
    client = subprocess.Popen([bench.event_load, mode, *(f"{k}={v}" for k, v in {**server.common, **settings}.items())],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    limit = threading.Timer(LOAD_LIMIT_S, client.kill)
    limit.start()
    try:
        if client.stdout.readline().strip() != "ready":
            raise Fail(f"the load {mode} failed")
        before = cpu_s(watched)
        client.stdin.write("\n")
        client.stdin.flush()
        line = client.stdout.readline()
        if not line:
            raise Fail(f"the load {mode} ended early")
        result = json.loads(line)
        result["cpu_us"] = (cpu_s(watched) - before) * 1e6
        result["rss"] = rss_bytes(watched) - rss
        client.stdin.write("\n")
        client.stdin.close()
        client.wait()
    finally:
        limit.cancel()
        client.kill()
    if result["failures"]:
        raise Fail(f"{result['failures']} operations failed")
    return result


def row(what, one, events):
    show(what, f"{one['cpu_us'] / events:.1f} us an event   {events / one['seconds']:.0f} events/s" +
         (f"   ack p50 {one['p50_ms']:.1f} ms, p99 {one['p99_ms']:.1f} ms" if one["p99_ms"] else ""))


def count_syncs(bench, server):
    """Flushes of the server while it takes events one at a time: with a flush before each answer, at least as many."""
    log = os.path.join(bench.work, "syncs")
    tracer = bench.start(["strace", "-f", "-qq", "-e", "trace=" + SYNCS, "-o", log, "-p", str(server.pid)])
    time.sleep(1)
    one = load(bench, server, "send", clients=1, window=1, seconds=2, bytes=BYTES, **server.writes("timed"))
    tracer.send_signal(signal.SIGINT)
    tracer.wait()
    with open(log) as file:
        calls = re.findall(rf"^\d+ +({SYNCS.replace(',', '|')})\(", file.read(), re.M)
    show("flushes while events are sent one at a time", f"{len(calls)} for {one['count']} acknowledgements "
         f"({', '.join(sorted(set(calls))) or 'none'})")


def step(what, work):
    try:
        return work()
    except (Fail, OSError) as error:
        show(what, f"failed: {error}")
        return None


def measure(bench, server):
    print(f"  -- {server.name}", flush=True)
    common = dict(seconds=SECONDS, bytes=BYTES, clients=LOGS)

    def single():
        one = load(bench, server, "send", window=64, **common, **server.writes("single"))
        row("in, one event a message, 256 under way", one, one["count"])
        return one["count"]

    def receive():
        one = load(bench, server, "receive", count=sent, **common, **server.reads("single"))
        row("out, the same events", one, one["count"])

    def batched():
        one = load(bench, server, "send", window=4, batch=BATCH, **common, **server.writes("batch"))
        is_batch = server.common.get("format") == "eventhubs"
        row(f"in, {'batches of 100 events' if is_batch else 'opaque messages of 100 KiB'}, 16 under way", one,
            one["count"] * BATCH)

    def latency():
        one = load(bench, server, "latency", seconds=SECONDS, bytes=BYTES,
                   **{**server.writes("timed"), **server.reads("timed", is_new=True)})
        show("end to end, one event at a time", f"p50 {one['p50_ms']:.2f} ms, p99 {one['p99_ms']:.2f} ms "
             f"({one['count']} events)")

    def idle():
        one = load(bench, server, "idle", clients=IDLE, **server.reads("idle", is_new=True))
        show(f"{IDLE} idle consumers, a connection each", f"{one['rss'] / IDLE / 1000:.1f} kB each")

    # First: memory that other loads left free would take the consumers in.
    step("idle consumers", idle)
    sent = step("in, one event a message", single)
    if sent:
        step("out", receive)
    step("in, batched", batched)
    step("latency", latency)
    step("flushes", lambda: count_syncs(bench, server))


def run(bench, makers):
    for make in makers:
        server = make(bench)
        try:
            measure(bench, server)
        finally:
            server.end()


def bench_events(bench):
    run(bench, [Doppel, Nats])


def bench_events_rabbitmq(bench):
    run(bench, [lambda b: Rabbit(b, "stream"), lambda b: Rabbit(b, "quorum")])
