#!/usr/bin/env python3
"""Proves that check_layers.py finds what it is there for: each test plants one offence in a small
tree and expects exactly that line to be named."""

import tempfile
import unittest
from pathlib import Path

import check_layers

CLEAN = {
    "src/base/result.h": "#pragma once\n#include <string>\n",
    "src/base/testing.h": "#pragma once\n",
    "src/json/value.h": '#include "base/result.h"\n',
    "src/store/store.h": '#include "base/result.h"\n',
    "src/store/memory/memory_store.h": '#include "store/store.h"\n',
    "src/protocol/http/message.h": "#pragma once\n",
    "src/protocol/http/parser.cc": "#include <boost/beast/http/basic_parser.hpp>\n",
    "src/net/loop.cc": "#include <boost/asio/io_context.hpp>\n",
    "src/store/rocksdb/database.cc": "#include <rocksdb/db.h>\n",
    "src/events/api.h": '#include "store/store.h"\n',
    "src/events/log.h": "#pragma once\n",
    "src/hub/api.h": '#include "events/api.h"\n',
    "src/hub/hub_test.cc": '#include <gtest/gtest.h>\n#include "base/testing.h"\n'
                           '#include "store/memory/memory_store.h"\n',
    "src/hub/hub_fixture.h": '#include <gtest/gtest.h>\n#include "store/memory/memory_store.h"\n',
    "src/hub/wire/http.cc": '#include "hub/api.h"\n#include "protocol/http/message.h"\n'
                            '#include "errors/hub.h"\n',
    "src/server/instance.cc": '#include "store/memory/memory_store.h"\n#include "hub/wire/http.h"\n',
    "src/hub/wire/http.h": "#pragma once\n",
    "schemas/errors/hub.tsv": "",
    "schemas/errors/twins.tsv": "",
}


class CheckLayersTest(unittest.TestCase):
    def offences(self, files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**CLEAN, **files}.items():
                file = Path(root, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            return check_layers.check_tree(root)

    def expect(self, path, text, *parts):
        found = self.offences({path: text})
        self.assertEqual(len(found), 1, found)
        for part in parts:
            self.assertIn(part, found[0])

    def test_a_clean_tree_passes(self):
        self.assertEqual(self.offences({}), [])

    def test_an_empty_tree_is_no_success(self):
        with tempfile.TemporaryDirectory() as root:
            self.assertNotEqual(check_layers.check_tree(root), [])

    def test_a_lower_layer_may_not_look_up(self):
        self.expect("src/base/clock.cc", '#include <ctime>\n\n#include "store/store.h"\n',
                    "src/base/clock.cc:3:", "base may not use store")
        self.expect("src/json/x.cc", '#include "hub/api.h"\n', "src/json/x.cc:1:")
        self.expect("src/net/x.cc", '#include "hub/api.h"\n', "net may not use hub")

    def test_services_keep_their_order(self):
        self.expect("src/events/x.cc", '#include "hub/api.h"\n', "events may not use hub")

    def test_services_know_each_other_only_through_their_api(self):
        self.expect("src/hub/x.cc", '#include "events/log.h"\n', "src/hub/x.cc:1:", "only through")
        self.expect("src/hub/wire/x.cc", '#include "events/log.h"\n', "only through")

    def test_a_core_knows_no_protocol_and_no_wire(self):
        self.expect("src/hub/x.cc", '#include "protocol/http/message.h"\n', "may not use protocol/http")
        self.expect("src/hub/x.cc", '#include "hub/wire/http.h"\n', "may not use hub/wire")

    def test_clients_use_no_service(self):
        self.expect("src/cli/x.cc", '#include "hub/api.h"\n', "cli may not use hub")
        self.expect("src/simulator/x.cc", '#include "events/api.h"\n', "simulator may not use events")

    def test_engines_and_test_helpers_stay_out_of_the_product(self):
        self.expect("src/hub/x.cc", '#include "store/memory/memory_store.h"\n', "is for tests")
        self.expect("src/hub/x.cc", '#include "base/testing.h"\n', "is for tests")
        self.expect("src/hub/x.cc", "#include <gtest/gtest.h>\n", "only tests")

    def test_errors_belong_to_their_service(self):
        self.expect("src/hub/x.cc", '#include "errors/twins.h"\n', "errors of twins")
        self.expect("src/hub/x.cc", '#include "errors/none.h"\n', "does not exist")

    def test_libraries_stay_in_their_place(self):
        for path, include in (("src/hub/x.cc", "<boost/asio/post.hpp>"),
                              ("src/net/x.cc", "<boost/beast/http.hpp>"),
                              ("src/protocol/http/x.cc", "<boost/beast/http.hpp>"),
                              ("src/store/x.cc", "<rocksdb/db.h>"),
                              ("src/events/x.cc", '"rocksdb/db.h"'),
                              ("src/hub/x.cc", "<simdjson.h>"),
                              ("src/hub/x.cc", "<CLI/CLI.hpp>"),
                              ("src/base/x.cc", "<regex>"),
                              ("src/base/x.cc", "<format>")):
            self.expect(path, "#include " + include + "\n", path + ":1:")

    def test_indented_includes_are_seen(self):
        self.expect("src/base/x.cc", '#ifdef A\n  #  include "store/store.h"\n#endif\n', ":2:")

    def test_includes_are_paths_from_src_and_exist(self):
        self.expect("src/base/x.cc", '#include "result.h"\n', "not a path from src/")
        self.expect("src/base/x.cc", '#include "../base/result.h"\n', "not a path from src/")
        self.expect("src/base/x.cc", '#include "base/none.h"\n', "does not exist")
        self.expect("src/unknown/x.cc", '#include "base/result.h"\n', "no part")

    def test_long_files_and_functions_are_named(self):
        self.expect("src/base/x.cc", "\n" * 451, "src/base/x.cc:451:", "451 lines")
        self.assertEqual(self.offences({"src/base/x.cc": "\n" * 450}), [])
        body = "namespace a {\n\nint f(int b,\n      int c) {\n" + "  g();\n" * 77 + "}\n\n}\n"
        self.assertEqual(self.offences({"src/base/x.cc": body}), [])
        longer = body.replace("  g();\n", "  g();\n  if (b) {\n    h(\"}\");\n  }\n", 1)
        self.expect("src/base/x.cc", longer, "src/base/x.cc:3:", "function of 83 lines")
        method = "class A {\n public:\n  void f() {\n" + "    g();\n" * 80 + "  }\n};\n"
        self.expect("src/base/x.h", method, "src/base/x.h:3:", "function of 82 lines")
        self.assertEqual(self.offences({"src/base/x_test.cc": longer}), [])
        self.assertEqual(self.offences({"src/base/x.cc": "struct A {\n" + "  int a;\n" * 100 + "};\n"}), [])

    def test_an_exception_that_is_not_needed_is_an_offence(self):
        path = next(iter(check_layers.LONG_FILES), None)
        if path is not None:
            text = "#pragma once\n"
            self.assertIn("take it off", "\n".join(self.offences({path: text})))

    def test_the_table_has_no_cycle(self):
        done = set()

        def visit(part, above):
            self.assertNotIn(part, above)
            if part in done:
                return
            for below in check_layers.USES.get(part, ()):
                visit(below, above + (part,))
            done.add(part)

        for part in check_layers.USES:
            visit(part, ())


if __name__ == "__main__":
    unittest.main()
