#include "hub/twin_rules.h"

#include <string>

#include <fmt/core.h>

#include "errors/hub.h"

namespace doppel::hub {
namespace {

std::unexpected<Error> refuse(TwinSection section, const std::string& path, std::string_view why) {
  const std::string_view what = section == TwinSection::tags ? "tags" : "properties";
  const std::string at = path.empty() ? std::string(to_string(section))
                                      : fmt::format("{}.{}", to_string(section), path);
  return fail(errors::hub::kArgumentInvalid,
              fmt::format("Provided json is not a valid '{}' object: {} at '{}'.", what, why, at));
}

bool is_control(unsigned char first, unsigned char second) {
  return first < 0x20 || first == 0x7F || (first == 0xC2 && second >= 0x80 && second <= 0x9F);
}

// Characters that are not control characters, of UTF-8 text.
std::size_t counted_characters(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto first = static_cast<unsigned char>(text[i]);
    if ((first & 0xC0) == 0x80) continue;
    const auto second = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (!is_control(first, static_cast<unsigned char>(second))) ++count;
  }
  return count;
}

// Why a name is refused; empty if it is not.
std::string_view name_problem(std::string_view name) {
  if (name.empty()) return "an empty name";
  if (name.size() > kTwinKeySizeMax) return "a name longer than 1024 bytes";
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto first = static_cast<unsigned char>(name[i]);
    const auto second = i + 1 < name.size() ? static_cast<unsigned char>(name[i + 1]) : 0;
    if (first == '.') return "a name with '.'";
    if (first == '$') return "a name with '$'";
    if (first == ' ') return "a name with a space";
    if (is_control(first, static_cast<unsigned char>(second)))
      return "a name with a control character";
  }
  return {};
}

class Checker {
 public:
  explicit Checker(TwinSection section) : section_(section) {}

  Status object(const json::Object& object, int depth) {
    if (depth > kTwinDepthMax) return refuse(section_, path_, "more than 10 levels");
    for (const auto& member : object) {
      const std::string_view name(member.key());
      if (depth == 1 && (name == "$version" || name == "$metadata")) continue;
      const auto length = path_.size();
      if (!path_.empty()) path_ += '.';
      path_ += name.substr(0, kTwinKeySizeMax);
      if (const auto problem = name_problem(name); !problem.empty())
        return refuse(section_, path_, problem);
      if (auto checked = value(member.value(), depth); !checked) return checked;
      path_.resize(length);
    }
    return {};
  }

 private:
  Status value(const json::Value& value, int depth) {
    if (value.is_null()) {
      if (in_array_) return refuse(section_, path_, "null inside an array");
      return {};
    }
    if (value.is_bool()) return {};
    if (json::is_number(value)) return number(value);
    if (json::is_string(value)) {
      if (value.get_string().size() > kTwinStringSizeMax)
        return refuse(section_, path_, "a string longer than 4096 bytes");
      return {};
    }
    if (value.is_object()) return object(value.get_object(), depth + 1);
    return array(value.get_array(), depth);
  }

  Status array(const json::Array& array, int depth) {
    if (depth > kTwinDepthMax) return refuse(section_, path_, "more than 10 levels");
    ++in_array_;
    for (const auto& element : array)
      if (auto checked = value(element, depth + 1); !checked) return checked;
    --in_array_;
    return {};
  }

  Status number(const json::Value& value) {
    if (value.is_double()) return {};
    if (const auto integer = json::to_int64(value)) {
      if (*integer >= kTwinIntegerMin && *integer <= kTwinIntegerMax) return {};
    } else if (json::number_text(value).find_first_of(".eE") != std::string::npos) {
      return {};  // a fraction that no double holds exactly
    }
    return refuse(section_, path_, "an integer beyond -4503599627370496 .. 4503599627370495");
  }

  TwinSection section_;
  std::string path_;
  int in_array_ = 0;
};

std::size_t value_size(const json::Value& value) {
  if (json::is_string(value)) return counted_characters(json::view(value.get_string()));
  if (json::is_number(value)) return 8;
  if (value.is_bool()) return 4;
  if (value.is_object()) return section_size(value.get_object());
  std::size_t size = 0;
  if (value.is_array())
    for (const auto& element : value.get_array()) size += value_size(element);
  return size;
}

}  // namespace

std::string_view to_string(TwinSection section) {
  switch (section) {
    case TwinSection::tags:
      return "tags";
    case TwinSection::desired:
      return "desired";
    case TwinSection::reported:
      return "reported";
  }
  return "";
}

Status check_twin_patch(TwinSection section, const json::Object& patch) {
  return Checker(section).object(patch, 1);
}

std::size_t section_size(const json::Object& section) {
  std::size_t size = 0;
  for (const auto& member : section)
    size += counted_characters(std::string_view(member.key())) + value_size(member.value());
  return size;
}

Status check_section_growth(TwinSection section, std::size_t before, std::size_t after) {
  const auto limit = section == TwinSection::tags ? kTagsSizeMax : kPropertiesSizeMax;
  if (after <= limit || after <= before) return {};
  return fail(errors::hub::kArgumentInvalid,
              fmt::format("The size of '{}' would be {} characters; at most {} are allowed.",
                          to_string(section), after, limit));
}

}  // namespace doppel::hub
