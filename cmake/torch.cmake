# stepcast::torch, an imported LibTorch. find_package(Torch) is not used: for a CUDA build of LibTorch it demands a
# CUDA toolkit even when only the CPU side is linked.
set(_torch "${STEPCAST_TORCH_DIR}")
set(_remedy "Run ./dev build, or pass -DSTEPCAST_TORCH_DIR=<torch folder of a pip wheel, or an unpacked LibTorch zip> (>= 2.6), or -DSTEPCAST_TORCH=OFF to build without the engine.")
if(NOT EXISTS "${_torch}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "No LibTorch in STEPCAST_TORCH_DIR='${_torch}' (lib/libtorch_cpu.so is missing). ${_remedy}")
endif()

set(_version_header "${_torch}/include/torch/headeronly/version.h")
if(NOT EXISTS "${_version_header}")
  set(_version_header "${_torch}/include/torch/csrc/api/include/torch/version.h")
endif()
if(NOT EXISTS "${_version_header}")
  message(FATAL_ERROR "LibTorch in '${_torch}' has no version.h: its headers are missing. ${_remedy}")
endif()
file(STRINGS "${_version_header}" _lines REGEX "#define TORCH_VERSION_(MAJOR|MINOR) ")
string(REGEX REPLACE ".*TORCH_VERSION_MAJOR ([0-9]+).*" "\\1" _major "${_lines}")
string(REGEX REPLACE ".*TORCH_VERSION_MINOR ([0-9]+).*" "\\1" _minor "${_lines}")
set(STEPCAST_TORCH_VERSION "${_major}.${_minor}")
if(STEPCAST_TORCH_VERSION VERSION_LESS 2.6)
  message(FATAL_ERROR "LibTorch in '${_torch}' is ${STEPCAST_TORCH_VERSION}; Stepcast needs 2.6 or newer. ${_remedy}")
endif()

# A pip wheel keeps the CUDA runtime in sibling packages, one folder per CUDA major since 13.
get_filename_component(_site "${_torch}" DIRECTORY)
file(GLOB _cuda_libs LIST_DIRECTORIES true "${_site}/nvidia/*/lib")
set(_rpath "${_torch}/lib" ${_cuda_libs})

add_library(stepcast::torch INTERFACE IMPORTED)
target_include_directories(stepcast::torch INTERFACE
                           "${_torch}/include" "${_torch}/include/torch/csrc/api/include")
target_link_directories(stepcast::torch INTERFACE "${_torch}/lib" ${_cuda_libs})
set(_libs c10 torch_cpu)
if(STEPCAST_CUDA)
  file(GLOB _cuda_headers LIST_DIRECTORIES true "${_site}/nvidia/*/include")
  find_path(STEPCAST_CUDA_INCLUDE cuda_runtime_api.h HINTS ${_cuda_headers} /usr/local/cuda/include)
  if(NOT EXISTS "${_torch}/lib/libtorch_cuda.so")
    message(FATAL_ERROR "STEPCAST_CUDA=ON, but '${_torch}' is a CPU-only LibTorch (no lib/libtorch_cuda.so). ${_remedy}")
  endif()
  if(NOT STEPCAST_CUDA_INCLUDE)
    message(FATAL_ERROR "STEPCAST_CUDA=ON needs cuda_runtime_api.h: pip packages nvidia-cuda-runtime and nvidia-cuda-crt next to torch, or a CUDA toolkit in /usr/local/cuda.")
  endif()
  # One source sees CUDA, so every other object is the same with and without it.
  set_source_files_properties("${CMAKE_SOURCE_DIR}/engine/device/cuda/cuda_device.cc" PROPERTIES
                              COMPILE_DEFINITIONS STEPCAST_CUDA=1 COMPILE_OPTIONS "-isystem;${STEPCAST_CUDA_INCLUDE}"
                              SKIP_PRECOMPILE_HEADERS ON)
  list(APPEND _libs c10_cuda torch_cuda)
endif()
# The CUDA libraries register their kernels from static objects, and need maths libraries that may be absent here.
target_link_options(stepcast::torch INTERFACE -Wl,--allow-shlib-undefined)
# One flag, because CMake sorts and merges separate ones.
list(TRANSFORM _libs PREPEND "-l" OUTPUT_VARIABLE _flags)
list(JOIN _flags "," _flags)
target_link_libraries(stepcast::torch INTERFACE "-Wl,--push-state,--no-as-needed,${_flags},--pop-state" Threads::Threads)
foreach(_dir IN LISTS _rpath)
  target_link_options(stepcast::torch INTERFACE "-Wl,-rpath-link,${_dir}")
endforeach()
# Of the build tree only: what is installed looks in its own lib/.
list(APPEND CMAKE_BUILD_RPATH ${_rpath})

include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_LIBRARIES stepcast::torch)
set(CMAKE_REQUIRED_QUIET ON)
unset(STEPCAST_TORCH_LINKS CACHE)
check_cxx_source_compiles("
  #include <string>
  #include <c10/util/Exception.h>
  int main() { c10::Error error(std::string(\"x\"), nullptr); return error.msg().empty(); }"
  STEPCAST_TORCH_LINKS)
unset(CMAKE_REQUIRED_LIBRARIES)
if(NOT STEPCAST_TORCH_LINKS)
  message(FATAL_ERROR "LibTorch ${STEPCAST_TORCH_VERSION} in '${_torch}' does not link with ${CMAKE_CXX_COMPILER_ID}: it was built with the old C++ ABI, or its CUDA runtime libraries are missing beside it. ${_remedy}")
endif()
message(STATUS "LibTorch ${STEPCAST_TORCH_VERSION}: ${_torch} (CUDA ${STEPCAST_CUDA})")
