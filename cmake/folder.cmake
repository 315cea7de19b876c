# One CMake target per source folder.
#
#   doppel_folder(<target> [DEPS <target>...] [TEST_DEPS <target>...])
#
# called in the folder's CMakeLists.txt makes, from the files that lie there:
#   <target>          a static library of every *.cc that is none of the below
#   <target>_test     one test program of all *_test.cc, known to ctest
#   <name>            one libFuzzer program for each *_fuzz.cc (checked build only); its seeds are
#                     tests/corpus/<name>, which ctest replays
# Benchmarks (*_bench.cc) are built only on demand, as <target>_bench.
function(doppel_folder target)
  cmake_parse_arguments(arg "" "" "DEPS;TEST_DEPS" ${ARGN})
  file(GLOB all CONFIGURE_DEPENDS *.cc)
  set(sources ${all})
  list(FILTER sources EXCLUDE REGEX "(_test|_fuzz|_bench|/main)\\.cc$")
  set(tests ${all})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  set(fuzzers ${all})
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")
  set(benches ${all})
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")

  if(sources)
    add_library(${target} STATIC ${sources})
    target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/src ${CMAKE_BINARY_DIR}/generated)
    target_link_libraries(${target} PUBLIC ${arg_DEPS})
    doppel_precompile(${target})
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_BINARY_DIR}/generated)
    target_link_libraries(${target} INTERFACE ${arg_DEPS})
  endif()

  if(tests)
    add_executable(${target}_test ${tests})
    target_link_libraries(${target}_test PRIVATE ${target} ${arg_TEST_DEPS} GTest::gmock GTest::gtest_main)
    doppel_precompile(${target}_test)
    if(DOPPEL_CHECKED)
      # Tests are compiled as they are: optimising sanitized test bodies took half of the whole build, and
      # coverage counters serve only what fuzz targets run.
      target_compile_options(${target}_test PRIVATE -O0 -fno-sanitize=fuzzer-no-link)
    endif()
    add_test(NAME ${target} COMMAND ${target}_test WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${target} PROPERTIES TIMEOUT 300 LABELS unit)
  endif()

  if(DOPPEL_CHECKED)
    foreach(file IN LISTS fuzzers)
      get_filename_component(name ${file} NAME_WE)
      add_executable(${name} ${file})
      target_link_libraries(${name} PRIVATE ${target} ${arg_TEST_DEPS})
      target_link_options(${name} PRIVATE -fsanitize=fuzzer)
      set(corpus ${CMAKE_SOURCE_DIR}/tests/corpus/${name})
      if(EXISTS ${corpus})
        add_test(NAME ${name}_corpus COMMAND ${name} -runs=0 ${corpus})
        set_tests_properties(${name}_corpus PROPERTIES TIMEOUT 120 LABELS fuzz)
      endif()
      set_property(GLOBAL APPEND PROPERTY DOPPEL_FUZZERS ${name})
    endforeach()
  endif()

  if(benches)
    find_package(benchmark REQUIRED)
    add_executable(${target}_bench EXCLUDE_FROM_ALL ${benches})
    target_link_libraries(${target}_bench PRIVATE ${target} ${arg_TEST_DEPS} benchmark::benchmark_main)
  endif()
endfunction()
