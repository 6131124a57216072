# stepcast_embed(<target> <file> <symbol>): compiles the bytes of a file into <target>, as
#   extern const unsigned char <symbol>[]; extern const unsigned long <symbol>_size;
function(stepcast_embed target file symbol)
  set(source "${CMAKE_BINARY_DIR}/embedded/${symbol}.cc")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${file}")
  file(READ "${CMAKE_SOURCE_DIR}/${file}" bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  # Lines, for whoever opens the file.
  string(REPEAT "0x..," 16 line)
  string(REGEX REPLACE "(${line})" "\\1\n" bytes "${bytes}")
  file(CONFIGURE OUTPUT "${source}" CONTENT "extern const unsigned char ${symbol}[];
extern const unsigned long ${symbol}_size;
const unsigned char ${symbol}[] = {
@bytes@};
const unsigned long ${symbol}_size = sizeof(${symbol});
" @ONLY)
  target_sources(${target} PRIVATE "${source}")
  set_source_files_properties("${source}" PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
endfunction()
