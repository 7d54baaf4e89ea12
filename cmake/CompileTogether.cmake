# Heavy headers (LibTorch, CLI11, JSON) take most of the time of compiling a small file. Files that share them are
# compiled in groups: about half the time from nothing. -DSNS_UNITY=OFF compiles each file alone.
option(SNS_UNITY "compile files that share heavy headers in groups" ON)

# sns_compile_together(TARGET GROUP files...): the files of one group become one translation unit, so that names in
# their anonymous namespaces must differ.
function(sns_compile_together TARGET GROUP)
  if(SNS_UNITY)
    set_target_properties(${TARGET} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
    set_source_files_properties(${ARGN} PROPERTIES UNITY_GROUP ${GROUP})
  endif()
endfunction()
