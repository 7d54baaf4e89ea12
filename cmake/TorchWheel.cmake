# LibTorch from the PyTorch wheel, as an imported target sns_torch; sets SNS_HAVE_TORCH.
# Torch's own CMake package of a CUDA wheel enables the CUDA language and links libtorch_cuda, which needs a
# dozen further libraries. Here only libtorch_cpu and libc10 are linked; libtorch_cuda is opened at run time
# where it is usable.
set(SNS_HAVE_TORCH OFF)
set(SNS_TORCH_WHY "switched off (SNS_TORCH=OFF)")
if(SNS_TORCH STREQUAL "OFF")
  return()
endif()

set(TORCH_ROOT "" CACHE PATH "folder of the installed torch package (holds lib/ and include/)")
set(_gone OFF)   # one that was found here before, as of an older Python
if(TORCH_ROOT AND TORCH_ROOT STREQUAL SNS_TORCH_FOUND AND NOT EXISTS "${TORCH_ROOT}/lib/libtorch_cpu.so")
  set(_gone ON)
endif()
if(NOT TORCH_ROOT OR _gone)
  foreach(_python "${CMAKE_SOURCE_DIR}/.venv/bin/python3" python3)
    execute_process(
      COMMAND "${_python}" -c
              "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '', end='')"
      OUTPUT_VARIABLE _root RESULT_VARIABLE _status ERROR_QUIET)
    if(_status EQUAL 0 AND _root)
      set(TORCH_ROOT "${_root}" CACHE PATH "" FORCE)
      set(SNS_TORCH_FOUND "${_root}" CACHE INTERNAL "where torch was found without TORCH_ROOT being given")
      break()
    endif()
  endforeach()
endif()

if(NOT EXISTS "${TORCH_ROOT}/lib/libtorch_cpu.so")
  set(SNS_TORCH_WHY "no torch package found; scripts/setup installs it, or set TORCH_ROOT")
  if(SNS_TORCH STREQUAL "ON")
    message(FATAL_ERROR "LibTorch: ${SNS_TORCH_WHY}")
  endif()
  return()
endif()

set(SNS_TORCH_VERSION_FILE "${TORCH_ROOT}/include/torch/headeronly/version.h")
file(STRINGS "${SNS_TORCH_VERSION_FILE}" _version
     REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH)")
string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*PATCH ([0-9]+).*" "\\1.\\2.\\3" SNS_TORCH_VERSION "${_version}")

add_library(sns_torch INTERFACE)
target_include_directories(sns_torch SYSTEM INTERFACE
  "${TORCH_ROOT}/include" "${TORCH_ROOT}/include/torch/csrc/api/include")
target_compile_definitions(sns_torch INTERFACE _GLIBCXX_USE_CXX11_ABI=1)
target_link_libraries(sns_torch INTERFACE "${TORCH_ROOT}/lib/libtorch_cpu.so" "${TORCH_ROOT}/lib/libc10.so")
list(APPEND CMAKE_BUILD_RPATH "${TORCH_ROOT}/lib")
set(SNS_HAVE_TORCH ON)
