# Compiler flags, ccache and a fast linker where they are installed.
find_program(SNS_CCACHE ccache)
if(SNS_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER "${SNS_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${SNS_CCACHE}")
  set(CMAKE_CUDA_COMPILER_LAUNCHER "${SNS_CCACHE}")
endif()
find_program(SNS_MOLD mold)
if(SNS_MOLD)
  add_link_options($<$<NOT:$<LINK_LANGUAGE:CUDA>>:-fuse-ld=mold>)
endif()

add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-march=${SNS_MARCH}>)
# Complex products without the C99 Annex G infinity recovery: a NaN stays a NaN either way, and the guard
# would cost a branch in every spectral loop.
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fcx-limited-range> $<$<COMPILE_LANGUAGE:CXX>:-fno-math-errno>)

# Warnings are errors in the project's own code.
add_library(sns_warnings INTERFACE)
target_compile_options(sns_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Wpedantic -Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports overlaps and frees inside std::string and std::vector<bool> that cannot happen (GCC bugs 105329,
  # 105651 and relatives), at -O3 only.
  target_compile_options(sns_warnings INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict -Wno-free-nonheap-object>)
endif()

# DT_RPATH, not RUNPATH: libtorch_cpu finds its CUDA runtime wheels through the program's run path.
add_link_options(-Wl,--disable-new-dtags)
