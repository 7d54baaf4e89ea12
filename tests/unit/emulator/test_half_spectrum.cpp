#include "emulator/half_spectrum.hpp"

#include "core/error.hpp"
#include "tests/support/torch_doctest.hpp"

#include <torch/fft.h>

using namespace sns;

TEST_CASE("half spectrum: shells of an image, and sums over them") {
  for (const std::int64_t n : {4, 6, 32}) {
    CAPTURE(n);
    const HalfSpectrum half = half_spectrum(n, torch::kFloat64);
    // Every mode of the whole image is in one shell; |k| = 0 is one mode, round(|k|) = 1 the eight around it.
    const torch::Tensor modes = half.modes_of_shell();
    CHECK(modes.sum().item<double>() == static_cast<double>(n * n));
    CHECK(modes[0].item<double>() == 1);
    CHECK(modes[1].item<double>() == 8);
    CHECK(half.shell.max().item<std::int64_t>() < half.shells);
    CHECK(torch::equal(modes > 0, torch::arange(half.shells) <= half.shell.max()));  // none without a mode
    // Parseval's theorem, image by image: sums over shells, of modes that stand for their conjugates, too.
    torch::manual_seed(1);
    const torch::Tensor images = torch::randn({3, n, n}, torch::kFloat64);
    const torch::Tensor power =
        torch::fft_rfft2(images, c10::nullopt, {-2, -1}, "ortho").abs().square().flatten(1) * half.multiplicity;
    const torch::Tensor of_shells = half.sum_over_shells(power, 1);
    CHECK(of_shells.sizes() == torch::IntArrayRef({3, half.shells}));
    CHECK(torch::allclose(of_shells.sum(1), images.square().sum({1, 2}), 1e-12));
    CHECK(torch::equal(half.sum_over_shells(power.t().contiguous(), 0), of_shells.t()));
    for (const std::int64_t wrong : {-1, 0, 2}) CHECK_THROWS_AS(half.sum_over_shells(power, wrong), Error);
    CHECK(torch::allclose(of_shells.select(1, 0), images.mean({1, 2}).square() * n * n, 1e-9));
  }
}
