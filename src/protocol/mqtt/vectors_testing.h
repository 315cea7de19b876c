// For tests: packets in tests/vectors, made by an encoder that is not ours.
#pragma once

#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/core.h>

#include "base/encoding.h"
#include "protocol/mqtt/packet_reader.h"

namespace doppel::mqtt::testing {

struct Vector {
  std::string name;
  Sender sender{};
  std::string bytes;
  std::string meaning;
};

inline std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> cells(1);
  for (const char c : line) {
    if (c == '\t')
      cells.emplace_back();
    else
      cells.back() += c;
  }
  return cells;
}

inline std::string bytes_of(const std::string& text) {
  const auto plus = text.find('+');
  auto bytes = hex_decode(text.substr(0, plus)).value();
  if (plus != std::string::npos) bytes.append(std::stoul(text.substr(plus + 1)), 'x');
  return bytes;
}

inline std::vector<Vector> read_vectors(const std::string& path) {
  std::vector<Vector> vectors;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    const auto cells = split(line);
    vectors.push_back({cells.at(0), cells.at(1) == "client" ? Sender::client : Sender::server,
                       bytes_of(cells.at(2)), cells.at(3)});
  }
  return vectors;
}

// As the makers of the files write bytes.
inline std::string text(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7F && c != '%')
      out += c;
    else
      out += fmt::format("%{:02X}", byte);
  }
  return out;
}

}  // namespace doppel::mqtt::testing
