# Generates <build>/generated/errors/<service>.h from schemas/errors/<service>.tsv: one constant for each
# error that clients of the service may see. The tables are also what docs/ shows, so nobody writes a
# number or a status into a handler.
#
# A line is: name <TAB> number (0: none) <TAB> HTTP status <TAB> inner code <TAB> default text.
# Lines that begin with '#' are comments.
function(doppel_generate_errors service)
  set(table ${CMAKE_SOURCE_DIR}/schemas/errors/${service}.tsv)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${table})
  file(STRINGS ${table} lines)
  set(rows "")
  foreach(line IN LISTS lines)
    if(line MATCHES "^#" OR line STREQUAL "")
      continue()
    endif()
    string(REPLACE ";" "\\;" line "${line}")
    string(REPLACE "\t" ";" cells "${line}")
    list(LENGTH cells count)
    if(NOT count EQUAL 5)
      message(FATAL_ERROR "${table}: a line needs 5 cells, not ${count}: ${line}")
    endif()
    list(GET cells 0 name)
    list(GET cells 1 number)
    list(GET cells 2 status)
    list(GET cells 3 code)
    list(GET cells 4 text)
    string(APPEND rows "inline constexpr ServiceError k${name}{.name = \"${name}\", .number = ${number}, "
                       ".http_status = ${status}, .code = Code::${code}, .text = \"${text}\"};\n")
  endforeach()
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/errors/${service}.h @ONLY CONTENT
"// Generated from schemas/errors/${service}.tsv.
#pragma once

#include \"base/result.h\"

namespace doppel::errors::${service} {
${rows}}  // namespace doppel::errors::${service}
")
endfunction()

file(GLOB tables CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/schemas/errors/*.tsv)
foreach(table IN LISTS tables)
  get_filename_component(service ${table} NAME_WE)
  doppel_generate_errors(${service})
endforeach()
