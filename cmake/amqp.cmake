# Generates <build>/generated/amqp/<table>.{h,cc} from schemas/amqp/<table>.tsv, when a table or the
# generator has changed: AMQP's composite types, for src/protocol/amqp.
#
#   doppel_generate_amqp(<variable for the list of generated sources>)
find_package(Python3 REQUIRED COMPONENTS Interpreter)

function(doppel_generate_amqp sources)
  set(schemas ${CMAKE_SOURCE_DIR}/schemas/amqp)
  set(target ${CMAKE_BINARY_DIR}/generated/amqp)
  file(GLOB tables CONFIGURE_DEPENDS ${schemas}/*.tsv)
  set(generated "")
  foreach(table IN LISTS tables)
    get_filename_component(name ${table} NAME_WE)
    list(APPEND generated ${target}/${name}.h ${target}/${name}.cc)
  endforeach()
  add_custom_command(
    OUTPUT ${generated}
    COMMAND ${Python3_EXECUTABLE} ${schemas}/generate.py ${schemas} ${target}
    DEPENDS ${tables} ${schemas}/generate.py
    COMMENT "Generating AMQP composites"
    VERBATIM)
  set(${sources} ${generated} PARENT_SCOPE)
endfunction()
