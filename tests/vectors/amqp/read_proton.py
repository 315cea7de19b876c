#!/usr/bin/python3
"""Qpid Proton reads what Doppel writes (doppel.txt), and it means the same to it as what Proton or rhea wrote for it.

Needs python3-qpid-proton (Debian). One check: the last line is "1 passed, 0 failed".
"""

from pathlib import Path

from proton import Array, Data, Described

# Fields that mean the same absent and with this value: descriptor, field, value (OASIS AMQP 1.0 parts 2 and 3).
DEFAULTS = {
    0x10: {2: 4294967295, 3: 65535}, 0x11: {4: 4294967295}, 0x12: {3: 2, 4: 0, 8: False}, 0x13: {8: False, 9: False},
    0x14: {5: False, 8: False, 9: False, 10: False}, 0x15: {3: False, 5: False}, 0x16: {1: False},
    0x28: {1: 0, 2: "session-end", 3: 0, 4: False}, 0x29: {1: 0, 2: "session-end", 3: 0, 4: False},
    0x70: {0: False, 1: 4, 3: False, 4: 0},
}


def plain(value, is_field=False):
    """One writing for all encodings of the same value; types that differ stay apart."""
    if isinstance(value, Described):
        inner = value.value
        if isinstance(inner, list):
            inner = fields(value.descriptor, inner)
        else:
            inner = plain(inner)
        return ("described", plain(value.descriptor), inner)
    if isinstance(value, Array):
        items = [plain(one) for one in value.elements]
        if is_field:  # that may hold several values, may hold one as it is, and Proton writes a list into some
            return items[0] if len(items) == 1 else items
        return ("array", plain(value.descriptor), str(value.type), items)
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return ("map", [(plain(key), plain(one)) for key, one in value.items()])
    return None if value is None else (type(value).__name__, repr(value))


def fields(descriptor, values):
    known = DEFAULTS.get(int(descriptor), {}) if isinstance(descriptor, int) else {}
    found = [None if i in known and one == known[i] else plain(one, True) for i, one in enumerate(values)]
    while found and found[-1] is None:
        found.pop()
    return found


def read(encoded, kind):
    found, at = [], 0
    while at < len(encoded) and (not found or kind == "message"):
        data = Data()
        at += data.decode(encoded[at:])
        data.rewind()
        data.next()
        found.append(plain(data.get_object()))
    if kind == "message":
        found.sort(key=lambda section: section[1][1])  # by descriptor: rhea writes the footer before the body
    if kind == "value" and at < len(encoded):
        found.append("and more")
    return found


def main():
    passed = failed = 0
    for line in Path(__file__).with_name("doppel.txt").read_text(encoding="ascii").splitlines():
        if line.startswith("#"):
            continue
        name, kind, ours, theirs = line.split("\t")
        try:
            a, b = (read(bytes.fromhex(one), kind) for one in (ours, theirs))
            wrong = None if a == b else f"{str(a)[:300]} instead of {str(b)[:300]}"
        except Exception as error:  # whatever it is, it could not be read
            wrong = repr(error)
        passed, failed = passed + (wrong is None), failed + (wrong is not None)
        if wrong:
            print(f"  not ok - Proton reads {name}: {wrong}")
    is_fine = passed > 0 and failed == 0  # one check, so that totals are not of vectors
    print(f"  {'ok' if is_fine else 'not ok'} - Proton reads {passed} of {passed + failed} as it reads its own")
    print("1 passed, 0 failed" if is_fine else "0 passed, 1 failed")
    return 0 if is_fine else 1


if __name__ == "__main__":
    raise SystemExit(main())
