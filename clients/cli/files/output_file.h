#pragma once
// One file that the program writes.

#include <string>
#include <string_view>

namespace stepcast::cli {

// Where bytes go: a name, or "-" for stdout. Every function that can fail returns "" or the reason, with the name.
//
// - What exists and is no regular file (a pipe, a device) is written through, never replaced.
// - A symlink means its target, which need not exist yet.
// - A regular file is replaced in one piece, so that a viewer never sees half a picture; where that would change more
//   than its bytes (hard links, owner) or its folder takes no new files, it is overwritten in place.
// - Nothing else stays behind, whatever fails.
class OutputFile {
 public:
  explicit OutputFile(std::string name);
  ~OutputFile();

  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // Finds out whether and how the file can be written; to be called before anything is painted. Opens pipes and
  // devices: a pipe waits for its reader here.
  std::string Check();

  // Writes the whole file; a stream gets `bytes` behind those before. Calls Check() if nobody has. Ctrl-C ends waiting
  // for a slow reader, if CancelOnInterrupt defers it.
  std::string Write(std::string_view bytes);

  // Removes the file, if Write() made or replaced it under its own name: what was there is lost anyway.
  void RemoveIfMade();

  const std::string& name() const { return name_; }

  // stdout, a pipe or a device: all that is written is one stream of bytes. Known after Check().
  bool is_stream() const { return kind_ == Kind::kStream; }

  // Known after Check().
  bool is_stdout() const { return is_stream() && fd_ == 1; }

 private:
  enum class Kind { kUnchecked, kStream, kReplaced, kOverwritten };

  std::string Problem(const std::string& reason) const;
  std::string OpenStream();
  std::string CheckNew(const std::string& folder);
  std::string Replace(std::string_view bytes);
  std::string Overwrite(std::string_view bytes);

  const std::string name_;
  Kind kind_ = Kind::kUnchecked;
  std::string target_;        // symlinks resolved
  unsigned int mode_ = 0666;  // of the file that is replaced
  bool existed_ = false;
  bool made_ = false;
  int fd_ = -1;  // of a stream
};

}  // namespace stepcast::cli
