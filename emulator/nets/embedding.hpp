#pragma once
#include <string>

namespace sns {

/// A vector that enters residual blocks through linear layers `<name>_dense1` and `<name>_dense2`.
struct Embedding {
  std::string name;
  int width;
};

}  // namespace sns
