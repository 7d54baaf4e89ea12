# sns_module_version(RESULT files...): "0.1.0-1a2b3c4d5e6f", a version of what a program and a module that it opens at
# run time have in common. A program refuses a module of another one (core/module.hpp): both call functions of tables
# that a compiler has laid out from these files.
function(sns_module_version RESULT)
  set(_all "${PROJECT_VERSION}")
  foreach(_file ${ARGN})
    file(SHA256 "${_file}" _hash)
    string(APPEND _all " ${_hash}")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${_file}")
  endforeach()
  string(SHA256 _hash "${_all}")
  string(SUBSTRING "${_hash}" 0 12 _short)
  set(${RESULT} "${PROJECT_VERSION}-${_short}" PARENT_SCOPE)
endfunction()
# Makes a module say it: core/module_version.cpp, compiled into it.
function(sns_give_module_version TARGET VERSION)
  set(_source "${CMAKE_SOURCE_DIR}/core/module_version.cpp")
  target_sources(${TARGET} PRIVATE "${_source}")
  set_source_files_properties("${_source}" PROPERTIES COMPILE_DEFINITIONS "SNS_MODULE_VERSION=\"${VERSION}\"")
endfunction()
