# cmake --install: a folder that runs wherever Debian 12's packages are: bin/, lib/ (LibTorch), share/stepcast/{models,loras}/, etc/.
if(TARGET stepcast)
  install(TARGETS stepcast RUNTIME DESTINATION bin)
endif()
if(TARGET stepcast-simulate)
  install(TARGETS stepcast-simulate RUNTIME DESTINATION bin)
endif()
if(TARGET stepcast-server)
  set_target_properties(stepcast-server-bin PROPERTIES INSTALL_RPATH "$ORIGIN/../lib")
  install(TARGETS stepcast-server stepcast-server-bin RUNTIME DESTINATION bin)
  install(FILES deploy/config.container.yaml DESTINATION etc RENAME config.yaml)
  install(DIRECTORY models/ DESTINATION share/stepcast/models)
  install(DIRECTORY loras/ DESTINATION share/stepcast/loras)
  # The libraries' own run path looks beside themselves last, so a flat folder works.
  file(GLOB _runtime "${STEPCAST_TORCH_DIR}/lib/libc10.so" "${STEPCAST_TORCH_DIR}/lib/libtorch_cpu.so"
       "${STEPCAST_TORCH_DIR}/lib/libgomp*.so*" "${_site}/nvidia/cu13/lib/libcudart.so.*" "${_site}/nvidia/cu13/lib/libcupti.so.*")
  if(STEPCAST_CUDA)
    file(GLOB _cuda_runtime "${STEPCAST_TORCH_DIR}/lib/libc10_cuda.so" "${STEPCAST_TORCH_DIR}/lib/libtorch_cuda*.so"
         "${STEPCAST_TORCH_DIR}/lib/libtorch_nvshmem.so" "${_site}/nvidia/*/lib/*.so.*")
    list(APPEND _runtime ${_cuda_runtime})
  endif()
  list(REMOVE_DUPLICATES _runtime)
  install(FILES ${_runtime} DESTINATION lib)
endif()
