#!/usr/bin/env python3
"""hostile_amqp.py --doppel PATH [--only PEER]

AMQP peers that lie, stop in the middle, never read, or ask for what they may not have: `doppel serve` must refuse them in
the words of AMQP or end their connection, stay healthy, keep its memory bounded and serve an honest client meanwhile.
Ends with `N passed, N failed`, one for each kind of peer."""

import argparse
import os
import random
import sys
import tempfile
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "crash"))
import consumers  # noqa: E402
import deliveries  # noqa: E402
import frames  # noqa: E402
import links  # noqa: E402
import rights  # noqa: E402
from kill import server as servers  # noqa: E402
from world import World  # noqa: E402

# What little memory a burst leaves behind is seen before others have made room for it in the allocator.
PEERS = (consumers.after_a_burst,) + frames.PEERS + rights.PEERS + links.PEERS + deliveries.PEERS + consumers.PEERS


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--doppel", required=True)
    parser.add_argument("--only", help="one kind of peer")
    arguments = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="doppel-hostile-") as work:
        server = servers.Server(arguments.doppel, os.path.join(work, "data"), os.path.join(work, "log"))
        try:
            world = World(server)
            for peer in PEERS:
                if arguments.only not in (None, peer.__name__):
                    continue
                try:
                    said = peer(world, random.Random(1))
                    world.check_serves()
                except Exception:  # whatever it is, the check failed
                    failed += 1
                    print(f"  not ok - {peer.__name__}: {traceback.format_exc()}", flush=True)
                    if server.own_end() is not None:
                        print(f"      the server is gone, with {server.own_end()}; the end of its log:")
                        print(Path(work, "log").read_text(encoding="utf-8", errors="replace")[-1500:])
                        break
                    continue
                passed += 1
                print(f"  ok - {peer.__name__.replace('_', ' ')}{': ' + said if said else ''}", flush=True)
            if server.own_end() is None and server.stop() != 0:
                failed += 1
                print(f"  not ok - the server ended with {server.own_end()} on SIGTERM")
        finally:
            if server.is_running():
                server.kill()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
