// Assertions about our own code. They stay on in release builds and say what was expected. If a
// peer can trigger one, it is not an assertion but a missing refusal.
#pragma once

#include <source_location>
#include <string_view>

namespace doppel {

[[noreturn]] void check_failed(std::string_view what, const std::source_location& where);

inline void check(bool holds, std::string_view what,
                  std::source_location where = std::source_location::current()) {
  if (!holds) [[unlikely]]
    check_failed(what, where);
}

}  // namespace doppel
