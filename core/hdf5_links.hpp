#pragma once
// What a file holds, by name.
#include "core/hdf5.hpp"

#include <string>
#include <vector>

namespace sns::h5 {

/// A name in a file.
struct Link {
  enum class Kind { array, group, other, soft, external };
  std::string path;  ///< "/group/name"
  Kind kind = Kind::other;
  std::string target{};  ///< where a soft link (/PATH) or one into another file (FILE:/PATH) leads, if anywhere
};

/// All names in a file, the contents of a group behind the group. A group that has several names, or holds
/// itself, has its contents behind one of them; soft and external links are not followed. Error if an
/// object is damaged.
std::vector<Link> links(const File& file);

}  // namespace sns::h5
