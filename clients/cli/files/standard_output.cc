#include "clients/cli/files/standard_output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace stepcast::cli {

void PrepareStandardStreams() {
  // The lowest free number is taken, so in this order. Writing to a file that is open for reading fails, as it should.
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)open("/dev/null", fd == 1 ? O_RDONLY : O_RDWR);
  }
  // Everything at once, at the end: a full buffer that is written between would fail without a reason.
  static char buffer[1 << 20];
  if (isatty(STDOUT_FILENO) == 0) std::setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
}

ExitCode FlushStandardOutput(ExitCode code) {
  errno = 0;
  const bool lost = std::fflush(stdout) != 0;
  const int error = errno;
  if (!lost && std::ferror(stdout) == 0) return code;
  std::fprintf(stderr, "stepcast: cannot write to standard output%s%s\n", error != 0 ? ": " : "",
               error != 0 ? std::strerror(error) : "");
  return kFailed;
}

}  // namespace stepcast::cli
