// The other direction of vectors_test.cc: what we write for everything in the vectors stands in
// tests/vectors/amqp/doppel.txt, which rhea and Qpid Proton read (read_rhea.mjs, read_proton.py;
// tests/clients/run runs both). Here: that the file says what we write today.
//
// To make the file anew: DOPPEL_WRITE_VECTORS=tests/vectors/amqp/doppel.txt and this test.
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "protocol/amqp/message.h"
#include "protocol/amqp/performative.h"
#include "protocol/amqp/sasl_frame.h"

namespace doppel::amqp {
namespace {

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells(1);
  for (const char c : line) {
    if (c == '\t')
      cells.emplace_back();
    else
      cells.back() += c;
  }
  return cells;
}

std::string rewrite_message(std::string_view bytes) {
  const auto view = split_message(bytes);
  if (!view.has_value()) return {};
  std::string out;
  const auto map = [&](const Section& section, SectionCode code) {
    if (section.is_present()) append_map_section(out, code, *decode_map(section));
  };
  if (view->header.is_present()) append(out, *decode_header(*view));
  map(view->delivery_annotations, SectionCode::delivery_annotations);
  map(view->message_annotations, SectionCode::message_annotations);
  if (view->properties.is_present()) append(out, *decode_properties(*view));
  map(view->application_properties, SectionCode::application_properties);
  if (view->body_kind == BodyKind::amqp_value)
    append_value_section(out, *decode_body_value(*view));
  else if (view->body_kind == BodyKind::amqp_sequence)
    out += view->body;
  DataSections data(*view);
  while (const auto bytes_of_one = data.next()) append_data_section(out, *bytes_of_one);
  map(view->footer, SectionCode::footer);
  return out;
}

// What we write for what `bytes` mean; empty when they mean nothing to us.
std::string rewrite(const std::string& kind, const std::string& bytes) {
  std::string out;
  if (kind == "value") {
    if (const auto decoded = decode_value(bytes); decoded.has_value()) append(out, decoded->value);
  } else if (kind == "performative") {
    if (const auto decoded = decode_performative(bytes); decoded.has_value())
      append(out, decoded->performative);
  } else if (kind == "sasl") {
    if (const auto decoded = decode_sasl_frame(bytes); decoded.has_value()) append(out, *decoded);
  } else if (kind == "message") {
    return rewrite_message(bytes);
  }
  return out;
}

// Name, kind, our bytes, their bytes.
std::vector<std::string> written() {
  std::vector<std::string> lines;
  for (const char* peer : {"rhea", "proton"}) {
    std::ifstream file(std::string("tests/vectors/amqp/") + peer + ".txt");
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with('#')) continue;
      const auto cells = cells_of(line);
      const auto ours = rewrite(cells.at(1), hex_decode(cells.at(2)).value());
      EXPECT_FALSE(ours.empty()) << cells.at(0);
      lines.push_back(std::string(peer) + ":" + cells.at(0) + "\t" + cells.at(1) + "\t" +
                      hex_encode(ours) + "\t" + cells.at(2));
    }
  }
  return lines;
}

TEST(WrittenVectorsTest, TheFileThatRheaAndProtonReadIsWhatWeWrite) {
  const auto lines = written();
  ASSERT_GE(lines.size(), 230u);
  if (const char* path = std::getenv("DOPPEL_WRITE_VECTORS")) {
    std::ofstream file(path);
    file << "# What Doppel writes: name, kind, bytes, and what rhea or Proton wrote. Made by "
            "written_vectors_test.cc. Not to be edited.\n";
    for (const auto& line : lines) file << line << "\n";
  }
  std::ifstream file("tests/vectors/amqp/doppel.txt");
  std::string line;
  ASSERT_TRUE(std::getline(file, line));  // the heading
  for (const auto& wanted : lines) {
    ASSERT_TRUE(std::getline(file, line)) << wanted;
    EXPECT_EQ(line, wanted);
  }
  EXPECT_FALSE(std::getline(file, line)) << line;
}

}  // namespace
}  // namespace doppel::amqp
