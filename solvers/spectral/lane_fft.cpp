#include "solvers/spectral/lane_fft.hpp"

namespace sns::spectral {

std::vector<int> fft_radices(int n) {
  int twos = 0;
  for (; n % 2 == 0; n /= 2) ++twos;
  // As many 8s as leave 4s, and a single 2 only where nothing else fits.
  std::vector<int> radices;
  int fours = twos % 3 == 1 ? (twos >= 4 ? 2 : 0) : twos % 3 == 2 ? 1 : 0;
  const int eights = (twos - 2 * fours) / 3;
  const int pairs = twos - 2 * fours - 3 * eights;
  radices.insert(radices.end(), static_cast<std::size_t>(eights), 8);
  radices.insert(radices.end(), static_cast<std::size_t>(fours), 4);
  radices.insert(radices.end(), static_cast<std::size_t>(pairs), 2);
  for (int prime = 3; n > 1; prime += 2)
    for (; n % prime == 0; n /= prime) radices.push_back(prime);
  return radices;
}

std::vector<int> digit_reversal(int n, const std::vector<int>& radices) {
  std::vector<int> position(static_cast<std::size_t>(n), 0);
  for (int i = 0; i < n; ++i) {
    int rest = i, length = n;
    for (const int radix : radices) {
      length /= radix;
      position[static_cast<std::size_t>(i)] += rest % radix * length;
      rest /= radix;
    }
  }
  return position;
}

}  // namespace sns::spectral
