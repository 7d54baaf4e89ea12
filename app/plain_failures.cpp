// Of a program built without LibTorch; otherwise torch_failures.cpp.
#include "app/failures.hpp"

std::string sns::last_words(const std::exception& error) {
  return error.what();
}
