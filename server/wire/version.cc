#include "server/wire/version.h"

#ifndef STEPCAST_VERSION
#error "STEPCAST_VERSION comes from CMakeLists.txt"
#endif
#ifndef STEPCAST_COMMIT
#define STEPCAST_COMMIT "unknown"
#endif

namespace stepcast {

const std::string_view kVersion = STEPCAST_VERSION;
const std::string_view kCommit = STEPCAST_COMMIT;

}  // namespace stepcast
