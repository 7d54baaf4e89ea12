# Writes the git state and the compiler into a header (cmake -P).
set(_commit "unknown")
set(_dirty false)
execute_process(COMMAND git -C "${SOURCE}" rev-parse HEAD OUTPUT_VARIABLE _out RESULT_VARIABLE _status
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(_status EQUAL 0)
  set(_commit "${_out}")
  execute_process(COMMAND git -C "${SOURCE}" status --porcelain --untracked-files=no OUTPUT_VARIABLE _changes
                  ERROR_QUIET)
  if(_changes)
    set(_dirty true)
  endif()
endif()
set(_text "#pragma once
#define SNS_VERSION \"${VERSION}\"
#define SNS_GIT_COMMIT \"${_commit}\"
#define SNS_GIT_DIRTY ${_dirty}
#define SNS_COMPILER \"${COMPILER}\"
#define SNS_FLAGS \"${FLAGS}\"
")
if(EXISTS "${OUTPUT}")
  file(READ "${OUTPUT}" _old)
endif()
if(NOT "${_old}" STREQUAL "${_text}")
  file(WRITE "${OUTPUT}" "${_text}")
endif()
