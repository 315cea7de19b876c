#!/usr/bin/env python3
"""Makes C++ structs, readers and writers of the composite types of AMQP 1.0.

    generate.py <folder of the tables> <folder to write to>

For each table <name>.tsv it writes <name>.h and <name>.cc; files that would not change are left
alone, so that nothing is rebuilt. A line of a table has cells divided by tabs:

    include  <header>                             what the generated header needs
    type     <name> <code> <symbol> [<C++ name>]  begins a composite; its fields follow
    field    <name> <type> single|multiple <rule> rule: mandatory, optional, or the default

Lines that begin with '#' and empty lines mean nothing. What an unknown word would mean is never
guessed: the generator stops.
"""

import sys
from pathlib import Path

# Type of a field in the specification -> C++ type (protocol/amqp/fields.h reads and writes them).
CPP_TYPES = {
    "boolean": "bool",
    "ubyte": "std::uint8_t",
    "ushort": "std::uint16_t",
    "uint": "std::uint32_t",
    "ulong": "std::uint64_t",
    "milliseconds": "std::uint32_t",
    "seconds": "std::uint32_t",
    "timestamp": "Timestamp",
    "string": "std::string",
    "address": "std::string",  # part 3 defines no other kind of address
    "symbol": "Symbol",
    "binary": "Binary",
    "delivery-tag": "DeliveryTag",
    "map": "Map",
    "fields": "Map",
    "message-id": "Value",  # ulong, uuid, binary or string: a reply repeats it with its type
    "role": "Role",
    "sender-settle-mode": "SenderSettleMode",
    "receiver-settle-mode": "ReceiverSettleMode",
    "terminus-durability": "TerminusDurability",
    "sasl-code": "SaslCode",
    "error": "AmqpError",
    "delivery-state": "DeliveryState",
    "source": "AnySource",
    "target": "AnyTarget",
}
CHOICES = ("sender-settle-mode", "receiver-settle-mode", "terminus-durability", "sasl-code")
HAVE_EMPTY = ("source", "target")  # their C++ type has a null of its own


def pascal(name):
    return "".join(word.capitalize() for word in name.split("-"))


def member(name):
    """A field's name in C++. The unit of a time stands in its type, as the specification has it."""
    return name.replace("-", "_")


class Field:
    def __init__(self, cells):
        self.wire_name, self.type, multiple, self.rule = cells
        if multiple not in ("single", "multiple"):
            raise ValueError(f"{multiple}: neither single nor multiple")
        self.is_multiple = multiple == "multiple"
        if self.is_multiple and self.type != "symbol":
            raise ValueError(f"{self.wire_name}: only symbols are read as multiple")
        self.name = member(self.wire_name)
        self.cpp_type = CPP_TYPES[self.type]

    def declaration(self):
        if self.is_multiple:
            return f"std::vector<{self.cpp_type}> {self.name}{{}};"
        if self.rule == "optional" and self.type not in HAVE_EMPTY:
            return f"std::optional<{self.cpp_type}> {self.name}{{}};"
        return f"{self.cpp_type} {self.name}{self.initial()};"

    def initial(self):
        if self.rule in ("mandatory", "optional"):
            return "{}"
        if self.type in CHOICES:
            return f" = {self.cpp_type}::{self.rule}"
        if self.type == "symbol":
            return f'{{"{self.rule}"}}'
        if self.type == "boolean" and self.rule not in ("true", "false"):
            raise ValueError(f"{self.rule}: no boolean")
        if self.type not in ("boolean", "ubyte", "ushort", "uint", "ulong", "milliseconds",
                             "seconds"):
            raise ValueError(f"{self.wire_name}: a {self.type} has no default")
        return f" = {self.rule}"

    def reading(self, composite):
        missing = f'"{composite}: {self.wire_name} is missing"'
        if self.is_multiple:
            if self.rule == "mandatory":
                return f"fields.multiple_mandatory(out.{self.name}, {missing});"
            return f"fields.multiple(out.{self.name});"
        if self.rule == "mandatory":
            return f"fields.mandatory(out.{self.name}, {missing});"
        if self.rule == "optional" and self.type not in HAVE_EMPTY:
            return f"fields.optional(out.{self.name});"
        return f"fields.defaulted(out.{self.name});"


class Composite:
    def __init__(self, cells):
        self.wire_name, code, self.symbol = cells[:3]
        self.code = int(code, 16)
        self.cpp_name = cells[3] if len(cells) > 3 else pascal(self.wire_name)
        self.fields = []

    def header(self):
        n = self.cpp_name
        lines = [f"struct {n} {{",
                 f"  static constexpr std::uint64_t kCode = {self.code:#04x};",
                 f'  static constexpr std::string_view kSymbol = "{self.symbol}";']
        if self.fields:
            lines.append("")
        lines += [f"  {field.declaration()}" for field in self.fields]
        lines += ["", f"  bool operator==(const {n}&) const = default;", "};",
                  f"void append(std::string& out, const {n}& value);",
                  f"void read(Decoder& in, {n}& out);         // with its descriptor",
                  f"void read_fields(Decoder& in, {n}& out);  // what follows the descriptor",
                  "// Calls visit(name, value) for each field, in order.",
                  "template <class Visit>"]
        value, visit = (" value", "&& visit") if self.fields else ("", "&&")
        lines += [f"void for_each_field(const {n}&{value}, Visit{visit}) {{"]
        lines += [f'  visit("{field.wire_name}", value.{field.name});' for field in self.fields]
        return lines + ["}", ""]

    def source(self):
        n, count = self.cpp_name, len(self.fields)
        value, out = (" value", " out") if self.fields else ("", "")
        lines = [f"void append(std::string& out, const {n}&{value}) {{",
                 f"  append_descriptor(out, {n}::kCode);",
                 "  CompoundWriter list(out, kList8Code);"]
        lines += [f"  write_field(out, value.{field.name});" for field in self.fields]
        lines += [f"  list.finish({count});", "}", "",
                  f"void read_fields(Decoder& in, {n}&{out}) {{",
                  f"  FieldReader fields(in, {count});"]
        lines += [f"  {field.reading(self.wire_name)}" for field in self.fields]
        lines += ["  fields.finish();", "}", "",
                  f"void read(Decoder& in, {n}& out) {{",
                  f'  if (!in.descriptor().is<{n}>()) in.fail("expected {self.symbol}");',
                  "  read_fields(in, out);", "}", ""]
        return lines


def read_table(path):
    includes, composites = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        kind, *cells = line.split("\t")
        try:
            if kind == "include":
                includes += cells
            elif kind == "type":
                composites.append(Composite(cells))
            elif kind == "field":
                composites[-1].fields.append(Field(cells))
            else:
                raise ValueError(f"{kind}: neither include, type nor field")
        except (ValueError, KeyError, IndexError) as error:
            sys.exit(f"{path}:{number}: {error}")
    return includes, composites


def header_text(name, includes, composites):
    lines = [f"// Generated from schemas/amqp/{name}.tsv by schemas/amqp/generate.py.",
             "#pragma once", "",
             "#include <cstdint>", "#include <optional>", "#include <string>",
             "#include <string_view>", "#include <vector>", ""]
    lines += [f'#include "{include}"' for include in includes]
    lines += ["", "namespace doppel::amqp {", "", "class Decoder;", ""]
    for composite in composites:
        lines += composite.header()
    return "\n".join(lines + ["}  // namespace doppel::amqp", ""])


def source_text(name, composites):
    lines = [f"// Generated from schemas/amqp/{name}.tsv by schemas/amqp/generate.py.",
             f'#include "amqp/{name}.h"', "", '#include "protocol/amqp/fields.h"', "",
             "namespace doppel::amqp {", ""]
    for composite in composites:
        lines += composite.source()
    return "\n".join(lines + ["}  // namespace doppel::amqp", ""])


def write_if_new(path, text):
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def main():
    tables, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    for table in sorted(tables.glob("*.tsv")):
        includes, composites = read_table(table)
        write_if_new(target / (table.stem + ".h"), header_text(table.stem, includes, composites))
        write_if_new(target / (table.stem + ".cc"), source_text(table.stem, composites))


if __name__ == "__main__":
    main()
