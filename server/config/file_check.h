#pragma once
// Files that the server writes: where they may lie, and that none is another.

#include <string>
#include <vector>

namespace stepcast {

// One file that an operator has named, with what is written beside it under names of its own.
struct NamedFile {
  std::string key;                         // "record_file"
  std::string path;                        // not empty
  std::vector<std::string> suffixes = {};  // ".old": `path` + each is ours too
  bool read_only = false;                  // it is there to be read, and only must not be overwritten
};

// The file that `path` stands for, with symbolic links resolved as far as they exist; `path` itself where they run in a
// circle. Writing a new file and renaming it into place would replace a link, not what it points to.
std::string ResolveLinks(const std::string& path);

// What is wrong: each file must be a regular one, or none yet, in a folder that exists and that this process may write
// to; and no two names may mean one file, however they are spelled. "key: got ...; allowed: ...".
std::vector<std::string> FindFileMistakes(const std::vector<NamedFile>& files);

}  // namespace stepcast
