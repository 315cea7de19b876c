# The standard library and fmt, parsed once for all folders: half of the time of a cold build is the
# same headers over and over. `./run` switches it on for the release tree only; the checked tree
# compiles every file without it, so an #include that is missing is found all the same.
#
#   doppel_precompile(<target>)   lets a target use the precompiled headers, if they are wanted
option(DOPPEL_PRECOMPILED "Precompile the standard library's headers" OFF)

if(DOPPEL_PRECOMPILED)
  # Without a time in it the same headers make the same file, which ccache needs.
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/precompiled.cc CONTENT "")
  add_library(doppel_precompiled OBJECT ${CMAKE_BINARY_DIR}/generated/precompiled.cc)
  target_link_libraries(doppel_precompiled PRIVATE fmt::fmt)
  # Templates that all instantiate (std::string, std::vector<std::string>) are instantiated here.
  target_compile_options(doppel_precompiled PRIVATE -fpch-instantiate-templates)
  target_precompile_headers(doppel_precompiled PRIVATE
    <algorithm> <array> <atomic> <bit> <charconv> <chrono> <compare> <concepts> <condition_variable>
    <coroutine> <cstddef> <cstdint> <cstring> <deque> <exception> <expected> <filesystem> <fstream>
    <functional> <iterator> <limits> <list> <map> <memory> <mutex> <numeric> <optional> <random> <ranges>
    <set> <span> <sstream> <stop_token> <string> <string_view> <thread> <tuple> <type_traits>
    <unordered_map> <unordered_set> <utility> <variant> <vector> <fmt/format.h>)
endif()

function(doppel_precompile target)
  if(DOPPEL_PRECOMPILED)
    target_precompile_headers(${target} REUSE_FROM doppel_precompiled)
  endif()
endfunction()
