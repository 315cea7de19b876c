# Compiler and linker flags that hold for every target.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Werror -fno-omit-frame-pointer)
add_compile_options(-fdiagnostics-color=always -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
add_link_options(-fuse-ld=lld)

# Assertions stay on in every build: they catch our own mistakes, never a peer's input.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -gline-tables-only")

# Mixing these over translation units would break the one-definition rule, so they are set for all.
add_compile_definitions(
  BOOST_ASIO_SEPARATE_COMPILATION
  BOOST_BEAST_SEPARATE_COMPILATION
  BOOST_ASIO_NO_DEPRECATED
  BOOST_ALL_NO_LIB)

if(DOPPEL_CHECKED)
  set(CMAKE_CXX_FLAGS_RELEASE "-O1 -gline-tables-only")
  add_compile_options(-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
endif()
if(DOPPEL_TSAN)
  set(CMAKE_CXX_FLAGS_RELEASE "-O1 -gline-tables-only")
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
endif()
