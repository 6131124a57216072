# The dependency law. A room may use only the rooms listed here; anything else is a configure error, and because each
# room links only what it uses, an include of a foreign library fails to compile or link as well.
set(STEPCAST_LAW_core)
set(STEPCAST_LAW_sampling  core)
set(STEPCAST_LAW_text      core)
set(STEPCAST_LAW_scheduler core sampling)
set(STEPCAST_LAW_simulate  core sampling scheduler)
set(STEPCAST_LAW_codec     core)
set(STEPCAST_LAW_model     core text)
set(STEPCAST_LAW_engine    core sampling scheduler model)
set(STEPCAST_LAW_server    core sampling text scheduler codec proto)

# Headers that most sources of a kind parse anyway, parsed once. What a source includes it still names itself: the presets
# differ (STEPCAST_PCH=OFF compiles without), and a missing include is found by them.
option(STEPCAST_PCH "Precompile the heavy headers" ON)
set(STEPCAST_HEAVY_torch <memory> <optional> <string> <vector> <absl/status/statusor.h> <absl/strings/str_cat.h>
    <ATen/core/Tensor.h> <ATen/TensorOperators.h>)
set(STEPCAST_HEAVY_grpc <memory> <optional> <string> <vector> <absl/status/statusor.h> <absl/strings/str_cat.h>
    <absl/time/time.h> <grpcpp/grpcpp.h>)
set(STEPCAST_HEAVY_tests <memory> <optional> <string> <vector> <gmock/gmock.h> <gtest/gtest.h> <absl/status/statusor.h>
    <absl/strings/str_cat.h> <absl/time/time.h>)

# stepcast_precompile(<target> <kind>...): kinds are those of STEPCAST_HEAVY_<kind>.
function(stepcast_precompile target)
  if(STEPCAST_PCH)
    foreach(kind IN LISTS ARGN)
      target_precompile_headers(${target} PRIVATE ${STEPCAST_HEAVY_${kind}})
    endforeach()
  endif()
endfunction()

# stepcast_library(<room> [FOLDER <path>] [USES <room>...] [LINK <third-party target>...] [EXCLUDE <file>...] [HEAVY <kind>...])
# Builds stepcast_<room> (alias stepcast::<room>) from every .cc below <room>/ (or FOLDER).
function(stepcast_library room)
  cmake_parse_arguments(ARG "" "FOLDER" "USES;LINK;EXCLUDE;HEAVY" ${ARGN})
  if(NOT ARG_FOLDER)
    set(ARG_FOLDER ${room})
  endif()
  foreach(used IN LISTS ARG_USES)
    if(NOT used IN_LIST STEPCAST_LAW_${room})
      message(FATAL_ERROR "${room}/ may not use ${used}/ (cmake/stepcast_library.cmake)")
    endif()
  endforeach()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS RELATIVE "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/${ARG_FOLDER}/*.cc")
  foreach(file IN LISTS ARG_EXCLUDE)
    list(REMOVE_ITEM sources "${ARG_FOLDER}/${file}")
  endforeach()
  list(TRANSFORM ARG_USES PREPEND stepcast::)
  if(sources)
    add_library(stepcast_${room} STATIC ${sources})
    target_include_directories(stepcast_${room} PUBLIC "${CMAKE_SOURCE_DIR}")
    target_link_libraries(stepcast_${room} PUBLIC ${ARG_USES} ${ARG_LINK} PRIVATE stepcast_warnings)
    stepcast_precompile(stepcast_${room} ${ARG_HEAVY})
  else()
    add_library(stepcast_${room} INTERFACE)
    target_include_directories(stepcast_${room} INTERFACE "${CMAKE_SOURCE_DIR}")
    target_link_libraries(stepcast_${room} INTERFACE ${ARG_USES} ${ARG_LINK})
  endif()
  add_library(stepcast::${room} ALIAS stepcast_${room})
endfunction()

# stepcast_binary(<name> <main source> USES <room>... [BEHIND <room>...] [LINK <target>...])
# BEHIND: rooms that are linked, but whose third-party headers the source must not see. LibTorch's wheel carries old
# protobuf headers, so nothing may be compiled with both on its path.
function(stepcast_binary name source)
  cmake_parse_arguments(ARG "" "" "USES;BEHIND;LINK" ${ARGN})
  list(TRANSFORM ARG_USES PREPEND stepcast::)
  list(TRANSFORM ARG_BEHIND PREPEND stepcast::)
  add_library(${name}_main OBJECT ${source})
  target_link_libraries(${name}_main PRIVATE ${ARG_USES} ${ARG_LINK} stepcast_warnings)
  add_executable(${name} $<TARGET_OBJECTS:${name}_main>)
  target_link_libraries(${name} PRIVATE ${ARG_USES} ${ARG_BEHIND} ${ARG_LINK})
endfunction()

# stepcast_client(<name> <folder> [LINK <target>...]): a program that knows nothing of ours but the wire contract: main.cc, and
# the rest as the objects <name>_parts, which tests link too.
function(stepcast_client name folder)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS RELATIVE "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/${folder}/*.cc")
  list(REMOVE_ITEM sources "${folder}/main.cc")
  add_library(${name}_parts OBJECT ${sources})
  target_include_directories(${name}_parts PUBLIC "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name}_parts PUBLIC stepcast::proto ${ARG_LINK} PRIVATE stepcast_warnings)
  stepcast_precompile(${name}_parts grpc)
  add_executable(${name} ${folder}/main.cc)
  target_compile_definitions(${name} PRIVATE STEPCAST_VERSION="${PROJECT_VERSION}")
  target_link_libraries(${name} PRIVATE ${name}_parts stepcast_warnings)
endfunction()

# stepcast_tests(<room> [USES <room>...] [LINK <target>...] [HEAVY <kind>...]): one test binary from tests/<room>/*_test.cc, one ctest
# entry. Tests find their data below $STEPCAST_SOURCE_DIR (a compile definition, absolute).
function(stepcast_tests room)
  cmake_parse_arguments(ARG "" "" "USES;LINK;HEAVY" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/${room}/*.cc")
  if(NOT sources)
    return()
  endif()
  list(TRANSFORM ARG_USES PREPEND stepcast::)
  add_executable(${room}_tests ${sources})
  target_include_directories(${room}_tests PRIVATE "${CMAKE_SOURCE_DIR}")
  # Only where it is used, so that all other objects are the same in every checkout and come from the compiler cache.
  foreach(source IN LISTS sources)
    file(STRINGS "${source}" placed REGEX "STEPCAST_(SOURCE|BINARY)_DIR" LIMIT_COUNT 1)
    if(placed)
      set_property(SOURCE "${source}" PROPERTY COMPILE_DEFINITIONS STEPCAST_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                                                   STEPCAST_BINARY_DIR="${CMAKE_BINARY_DIR}")
    endif()
  endforeach()
  target_link_libraries(${room}_tests PRIVATE ${ARG_USES} ${ARG_LINK} GTest::gmock GTest::gtest_main stepcast_warnings)
  # Tests are compiled often and run once: the time goes into what they test, not into themselves.
  # GCC 12 warns at -O1 of what it has inlined of std::string and std::vector (GCC bugs 105562, 105651).
  target_compile_options(${room}_tests PRIVATE $<$<CONFIG:RelWithDebInfo>:-O1>
                         "$<$<CXX_COMPILER_ID:GNU>:-Wno-restrict;-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread>")
  stepcast_precompile(${room}_tests tests ${ARG_HEAVY})
  add_test(NAME ${room} COMMAND ${room}_tests WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
  # What the server sets for itself (engine/README.md): OpenMP workers that spin stall a busy machine.
  set_tests_properties(${room} PROPERTIES TIMEOUT 900 ENVIRONMENT "GOMP_SPINCOUNT=200")
endfunction()

# stepcast_long_test(<name> COMMAND <word>... [NEEDS <target>...] [ENVIRONMENT <variable=value>...] [TIMEOUT <seconds>])
# An entry of the long tier (`./dev test long`): label `long`, outside `./dev test`. NEEDS are built for that tier only, so
# they may be EXCLUDE_FROM_ALL. What the command prints behind "result: " goes into the table of results; exit code 77 means
# that this machine cannot run it.
function(stepcast_long_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "COMMAND;NEEDS;ENVIRONMENT" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 1800)
  endif()
  add_test(NAME ${name} COMMAND ${ARG_COMMAND} WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
  set_tests_properties(${name} PROPERTIES LABELS long TIMEOUT ${ARG_TIMEOUT} SKIP_RETURN_CODE 77 RUN_SERIAL ON
                       ENVIRONMENT "GOMP_SPINCOUNT=200;${ARG_ENVIRONMENT}")
  if(NOT TARGET long_tests)
    add_custom_target(long_tests)
  endif()
  if(ARG_NEEDS)
    add_dependencies(long_tests ${ARG_NEEDS})
  endif()
endfunction()
