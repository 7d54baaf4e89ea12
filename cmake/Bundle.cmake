# What scripts/bundle carries to other machines: `cmake --install DIR --component bundle` puts these programs and the CUDA
# module side by side into libexec/, without the run paths of this machine.
add_custom_target(bundle_programs)
function(sns_bundle target)
  add_dependencies(bundle_programs ${target})
  install(TARGETS ${target} RUNTIME DESTINATION libexec COMPONENT bundle
          LIBRARY DESTINATION libexec COMPONENT bundle)
endfunction()
