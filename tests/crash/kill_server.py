#!/usr/bin/env python3
"""kill_server.py --doppel PATH --reader PATH [--runs N] [--seed S] [--workers W] [--keep]

SIGKILLs `doppel serve` at random instants under a load of provisioning, telemetry and retiring devices and of senders and a
consumer of an event hub, starts it again on the same data directory and checks that nothing acknowledged is lost and nothing
is half done (README.md). A data directory
lives through several kills in a row. Ends with `N passed, N failed`: one for each kill, and one for the
checks themselves, which must notice forged claims. The seed decides what the load does and when the kill comes; the timing
of threads and machine is not part of it, so a repeated run is alike, not identical."""

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from kill import checks, event_checks, event_load, load, server as servers  # noqa: E402

KILLS_PER_DIRECTORY = 5
LOAD_S = (0.3, 2.5)           # how long the load runs before the kill
FIRST_START_KILLED = 0.5      # share of directories whose very first start is cut
RECOVERY_KILLED = 0.3         # share of runs where the start after the kill is killed too
START_CUT_S = 0.4             # ... within this time
STOPPED_BY_KILL = 0.5         # share of runs where the log is read after another SIGKILL, not after an orderly stop
OLD_DEVICES_CHECKED = 40      # of the runs before; those of this run are all checked
REGISTERED_AGAIN = 12


class Directory:
    """A data directory over several kills, with all that was ever said about its devices."""

    def __init__(self, arguments, number):
        self.arguments, self.number = arguments, number
        self.rng = random.Random(f"{arguments.seed}/{number}")
        self.work = Path(tempfile.mkdtemp(prefix="doppel-kill-"))
        self.server = servers.Server(arguments.doppel, str(self.work / "data"), str(self.work / "server.log"))
        self.devices, self.event_hub = [], event_load.EventHub()
        if self.rng.random() < FIRST_START_KILLED:
            self._cut_start()

    def _cut_start(self):
        self.server.launch()
        time.sleep(self.rng.random() * START_CUT_S)
        self.server.kill()

    def one_run(self, run):
        """One kill. Returns what is broken and a line about the run."""
        world, _ = self.server.start()
        # OpenSSL writes to sockets with write(); a client that leaves at the wrong moment would end the process.
        if not self.server.ignores(signal.SIGPIPE):
            return ["SIGPIPE is not ignored: a client that leaves can end the server"], "not begun"
        self.server.create_event_hub(event_load.HUB, event_load.PARTITIONS)
        burst = load.Load(world, self.arguments.seed, f"r{run}", self.arguments.workers)
        events_burst = event_load.Load(world, self.event_hub, self.arguments.seed, f"r{run}")
        killed_after = self.rng.uniform(*LOAD_S)
        for one in (burst, events_burst):
            one.start()
        time.sleep(killed_after)
        for one in (burst, events_burst):
            one.killing.set()
        end = self.server.own_end()
        self.server.kill()
        for one in (burst, events_burst):
            one.join()
        failures = burst.failures + events_burst.failures
        if end is not None:
            return [f"the server ended before it was killed, with {end}"] + failures, "the server crashed"
        if failures:
            return failures, "the load failed"
        broken = []
        unknown = [one for one in burst.devices if one.there is None]
        if self.rng.random() < RECOVERY_KILLED:
            self._cut_start()
        world, ready_s = self.server.start()

        old = self.rng.sample(self.devices, min(OLD_DEVICES_CHECKED, len(self.devices)))
        self.devices += burst.devices
        broken += checks.all_devices(world, burst.devices + old)
        broken += checks.registry(world, self.devices)
        again = unknown + self.rng.sample(burst.devices, min(REGISTERED_AGAIN, len(burst.devices)))
        again = list({one.name: one for one in again}.values())
        with ThreadPoolExecutor(checks.CHECKERS) as pool:
            for lines in pool.map(lambda one: checks.registers_again(world, one), again):
                broken += lines
        broken += checks.all_devices(world, again)
        lines, hub_events = event_checks.after_restart(world, self.event_hub)
        broken += lines
        if self.rng.random() < STOPPED_BY_KILL:
            self.server.kill()
        elif code := self.server.stop():
            broken.append(f"the server ended with {code} on SIGTERM")
        lines, events = checks.directory(self.arguments.reader, self.server.data_dir, self.devices)
        acknowledged = sum(len(one.acknowledged) for one in burst.devices)
        return broken + lines, (
            f"killed after {killed_after:.2f} s: {sum(one.registered for one in burst.devices)} registrations, "
            f"{acknowledged} messages, {sum(one.deleted for one in burst.devices)} deletes acknowledged, {len(unknown)} devices "
            f"in doubt; ready again in {ready_s:.2f} s, {events} events in the log; {self._event_hub_line()}, {hub_events} events in the event hub")

    def _event_hub_line(self):
        streams = self.event_hub.all_streams()
        return (f"AMQP so far: {sum(len(one.accepted) for one in streams)} of {sum(len(one.deliveries) for one in streams)} deliveries "
                f"accepted, {sum(one.repeated for one in streams)} repeated, the consumer resumed {self.event_hub.consumer.resumed} times")

    def close(self, keep):
        if self.server.is_running():
            self.server.kill()
        if keep:
            print(f"      data directory and log: {self.work}")
        else:
            shutil.rmtree(self.work, ignore_errors=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--doppel", required=True)
    parser.add_argument("--reader", required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--keep", action="store_true", help="keep the data directories")
    arguments = parser.parse_args()
    if arguments.seed is None:
        arguments.seed = random.SystemRandom().randrange(1_000_000)
    return arguments


def main():
    arguments = parse()
    print(f"kill_server: {arguments.runs} kills, seed {arguments.seed}", flush=True)
    passed = failed = 0
    directory = None
    for run in range(arguments.runs):
        if directory is None:
            directory = Directory(arguments, run)
        try:
            broken, line = directory.one_run(run)
        except (servers.NotReady, subprocess.SubprocessError) as error:
            broken, line = [str(error)], "the server did not come back"
        except Exception:  # the run failed, and the others still say something
            broken, line = [traceback.format_exc()], "the run could not be ended"
        print(f"  {'not ok' if broken else 'ok'} - run {run}: {line}", flush=True)
        for text in broken[:20]:
            print(f"      {text}")
        if broken:
            failed += 1
            print(f"      again: {' '.join(sys.argv)} --seed {arguments.seed} --runs {run + 1}" if "--seed" not in sys.argv else
                  f"      again: {' '.join(sys.argv)}", flush=True)
        else:
            passed += 1
        if not broken and run + 1 == arguments.runs:
            lies = checks.unnoticed_lies(arguments.reader, directory.server.data_dir, directory.devices)
            lies += event_checks.unnoticed_lies(directory.event_hub)
            print("\n".join(f"  not ok - {lie}" for lie in lies) or "  ok - forged claims about the last directory are noticed")
            passed, failed = passed + (not lies), failed + bool(lies)
        if broken or (run + 1) % KILLS_PER_DIRECTORY == 0:
            directory.close(arguments.keep or bool(broken))
            directory = None
    if directory:
        directory.close(arguments.keep)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
