# stepcast_proto: the generated wire contract. Generated once, used by the server and the C++ client.
file(GLOB_RECURSE _protos CONFIGURE_DEPENDS RELATIVE "${CMAKE_SOURCE_DIR}/proto" "${CMAKE_SOURCE_DIR}/proto/*.proto")
set(_out "${CMAKE_BINARY_DIR}/proto")
file(MAKE_DIRECTORY "${_out}")
set(_generated)
foreach(_proto IN LISTS _protos)
  string(REGEX REPLACE "\\.proto$" "" _stem "${_proto}")
  set(_files "${_out}/${_stem}.pb.cc" "${_out}/${_stem}.pb.h" "${_out}/${_stem}.grpc.pb.cc" "${_out}/${_stem}.grpc.pb.h")
  add_custom_command(
    OUTPUT ${_files}
    COMMAND protobuf::protoc -I "${CMAKE_SOURCE_DIR}/proto" --cpp_out "${_out}" --grpc_out "${_out}"
            "--plugin=protoc-gen-grpc=${STEPCAST_GRPC_PLUGIN}" "${CMAKE_SOURCE_DIR}/proto/${_proto}"
    DEPENDS "${CMAKE_SOURCE_DIR}/proto/${_proto}" VERBATIM)
  list(APPEND _generated "${_out}/${_stem}.pb.cc" "${_out}/${_stem}.grpc.pb.cc")
endforeach()
add_library(stepcast_proto STATIC ${_generated})
add_library(stepcast::proto ALIAS stepcast_proto)
target_include_directories(stepcast_proto SYSTEM PUBLIC "${_out}")
target_link_libraries(stepcast_proto PUBLIC stepcast::grpc)
target_compile_options(stepcast_proto PRIVATE -w -O1)
