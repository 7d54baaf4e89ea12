#include "app/failures.hpp"
#include "emulator/failures.hpp"

std::string sns::last_words(const std::exception& error) {
  return failure_text(error);
}
