# Warnings for our own code; generated and third-party code is SYSTEM.
add_library(stepcast_warnings INTERFACE)
target_compile_options(stepcast_warnings INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror=return-type)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(stepcast_warnings INTERFACE -Wthread-safety -Werror=thread-safety)
endif()
option(STEPCAST_WERROR "Treat warnings as errors, but in a release" ON)
if(STEPCAST_WERROR)
  # Not in a release: at -O3 GCC 12 warns of strings that it has inlined itself (GCC bugs 105562, 105651), and whoever
  # builds a release with another compiler did not write the warnings.
  target_compile_options(stepcast_warnings INTERFACE $<$<NOT:$<CONFIG:Release>>:-Werror>)
endif()
