// Bytes made by rhea (under Azure's Node SDKs) and by Qpid Proton (tests/vectors/amqp): we read
// what they meant, what we write means the same to us, and no front part of it is taken for the
// whole.
#include <fstream>

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "protocol/amqp/message.h"
#include "protocol/amqp/testing.h"

namespace doppel::amqp {
namespace {

using testing::describe;

struct Vector {
  std::string name;
  std::string kind;
  std::string bytes;
  std::string meaning;
};

std::vector<Vector> read_vectors(const char* path) {
  std::vector<Vector> vectors;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    std::vector<std::string> cells(1);
    for (const char c : line) {
      if (c == '\t')
        cells.emplace_back();
      else
        cells.back() += c;
    }
    vectors.push_back({cells.at(0), cells.at(1), hex_decode(cells.at(2)).value(), cells.at(3)});
  }
  return vectors;
}

// --- Messages as text: the sections that say anything, divided by bars.
void add_section(std::string& out, const std::string& text) {
  if (!out.empty()) out += " | ";
  out += text;
}

std::string describe_message(const MessageView& message, bool is_batch = false);

void describe_map(std::string& out, const char* name, const Section& section) {
  if (!section.is_present()) return;
  const auto map = decode_map(section);
  if (!map->is_empty()) add_section(out, std::string(name) + " " + describe(Value(*map)));
}

template <class Composite>
void describe_composite(std::string& out, const Composite& composite) {
  if (!(composite == Composite{})) add_section(out, describe(composite));
}

void describe_body(std::string& out, const MessageView& message) {
  if (message.body_kind == BodyKind::amqp_value)
    add_section(out, "value " + describe(*decode_body_value(message)));
  DataSections sections(message);
  while (const auto data = sections.next()) add_section(out, "data " + testing::escaped(*data));
  if (message.body_kind != BodyKind::amqp_sequence) return;
  Decoder in(message.body, Input::whole);
  while (!in.is_at_end()) {
    in.descriptor();
    add_section(out, "sequence " + describe(in.value()));
  }
}

std::string describe_batch(const MessageView& message) {
  std::string out = "batch";
  BatchReader batch(message);
  while (const auto event = batch.next()) out += " (" + describe_message(event->view) + ")";
  return out + std::string(batch.error());
}

std::string describe_message(const MessageView& message, bool is_batch) {
  std::string out;
  describe_composite(out, *decode_header(message));
  describe_map(out, "delivery-annotations", message.delivery_annotations);
  describe_map(out, "message-annotations", message.message_annotations);
  describe_composite(out, *decode_properties(message));
  describe_map(out, "application-properties", message.application_properties);
  if (is_batch)
    add_section(out, describe_batch(message));
  else
    describe_body(out, message);
  describe_map(out, "footer", message.footer);
  return out;
}

void check_value(const Vector& vector) {
  const auto decoded = decode_value(vector.bytes);
  ASSERT_TRUE(decoded.has_value()) << vector.name;
  EXPECT_EQ(decoded->consumed, vector.bytes.size()) << vector.name;
  EXPECT_EQ(describe(decoded->value), vector.meaning) << vector.name;

  Decoder skipped(vector.bytes);
  skipped.skip();
  EXPECT_TRUE(skipped.ok() && skipped.is_at_end()) << vector.name;

  std::string written;
  append(written, decoded->value);
  const auto again = decode_value(written);
  ASSERT_TRUE(again.has_value()) << vector.name;
  EXPECT_EQ(again->value, decoded->value) << vector.name;

  for (std::size_t cut = 0; cut < vector.bytes.size(); ++cut) {
    const auto part = std::string_view(vector.bytes).substr(0, cut);
    EXPECT_TRUE(decode_value(part).needs_more()) << vector.name << " cut at " << cut;
    EXPECT_TRUE(decode_value(part, Input::whole).is_malformed()) << vector.name << " " << cut;
  }
}

void check_performative(const Vector& vector) {
  const auto decoded = decode_performative(vector.bytes);
  ASSERT_TRUE(decoded.has_value()) << vector.name << ": " << decoded.reason();
  const bool has_payload = vector.bytes.ends_with("payload-bytes");
  EXPECT_EQ(decoded->consumed, vector.bytes.size() - (has_payload ? 13 : 0)) << vector.name;
  EXPECT_EQ(describe(decoded->performative), vector.meaning) << vector.name;

  std::string written;
  append(written, decoded->performative);
  const auto again = decode_performative(written);
  ASSERT_TRUE(again.has_value()) << vector.name;
  EXPECT_EQ(again->performative, decoded->performative) << vector.name;

  for (std::size_t cut = 0; cut < decoded->consumed; ++cut)
    EXPECT_TRUE(decode_performative(vector.bytes.substr(0, cut)).is_malformed())
        << vector.name << " cut at " << cut;
}

void check_sasl(const Vector& vector) {
  const auto decoded = decode_sasl_frame(vector.bytes);
  ASSERT_TRUE(decoded.has_value()) << vector.name << ": " << decoded.reason();
  EXPECT_EQ(describe(*decoded), vector.meaning) << vector.name;

  std::string written;
  append(written, *decoded);
  const auto again = decode_sasl_frame(written);
  ASSERT_TRUE(again.has_value()) << vector.name;
  EXPECT_EQ(*again, *decoded) << vector.name;
  EXPECT_TRUE(decode_sasl_frame(vector.bytes + "x").is_malformed()) << vector.name;
  for (std::size_t cut = 0; cut < vector.bytes.size(); ++cut)
    EXPECT_TRUE(decode_sasl_frame(vector.bytes.substr(0, cut)).is_malformed()) << vector.name;
}

void check_message(const Vector& vector) {
  const auto view = split_message(vector.bytes);
  ASSERT_TRUE(view.has_value()) << vector.name << ": " << view.reason();
  EXPECT_EQ(describe_message(*view, vector.meaning.find("batch (") != std::string::npos),
            vector.meaning)
      << vector.name;
  // Cut between two sections a message is one still, so only a crash or a longer reading is wrong.
  for (std::size_t cut = 0; cut < vector.bytes.size(); ++cut) {
    const auto part = split_message(std::string_view(vector.bytes).substr(0, cut));
    EXPECT_FALSE(part.needs_more()) << vector.name << " cut at " << cut;
  }
}

void check_file(const char* path, std::size_t least) {
  const auto vectors = read_vectors(path);
  ASSERT_GE(vectors.size(), least) << path;
  for (const auto& vector : vectors) {
    if (vector.kind == "value") check_value(vector);
    if (vector.kind == "performative") check_performative(vector);
    if (vector.kind == "sasl") check_sasl(vector);
    if (vector.kind == "message") check_message(vector);
  }
}

TEST(AmqpVectorsTest, ReadsWhatRheaWrites) { check_file("tests/vectors/amqp/rhea.txt", 140); }
TEST(AmqpVectorsTest, ReadsWhatProtonWrites) { check_file("tests/vectors/amqp/proton.txt", 90); }

}  // namespace
}  // namespace doppel::amqp
