# -DSTEPCAST_SANITIZE=address,undefined or thread, for everything we compile.
if(STEPCAST_SANITIZE)
  add_compile_options(-fsanitize=${STEPCAST_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${STEPCAST_SANITIZE})
endif()
