#include "core/error.hpp"
#include "core/random.hpp"
#include "tests/support/relative.hpp"
#include "tests/support/worst_of.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

using namespace sns;

TEST_CASE("random: Philox4x64-10 known answers") {
  // Random123's published vector for an all-zero counter and key
  RandomStream zero(0, static_cast<Purpose>(0));
  for (const std::uint64_t expected :
       {0x16554d9eca36314cULL, 0xdb20fe9d672d0fdcULL, 0xd7e772cee186176bULL, 0x7e68b68aec7ba23bULL})
    CHECK(zero.next_u64() == expected);
  // numpy.random.Philox(key=[seed, purpose], counter=[block, step, id, 0]): two blocks
  RandomStream stream(2024, Purpose::diffusion_noise, 7, 3);
  for (const std::uint64_t expected :
       {0x6973cde774502474ULL, 0xd95db08d465a6465ULL, 0x2b30e4a8620e5afaULL, 0x4f8f5e8951a4441fULL,
        0x26c11e89e33fd6c5ULL, 0x573ddcb37ea36680ULL, 0xd35ea7d408828725ULL, 0x07b6a38a160ee410ULL})
    CHECK(stream.next_u64() == expected);
  RandomStream large(~0ULL, Purpose::bootstrap, 1000000, 1ULL << 40);
  CHECK(large.next_u64() == 0x73e3a87d0fc1e30eULL);
}

TEST_CASE("random: streams differ in every part of their key") {
  const auto first = [](std::uint64_t seed, Purpose purpose, std::uint64_t id, std::uint64_t step) {
    return RandomStream(seed, purpose, id, step).next_u64();
  };
  const std::vector<std::uint64_t> values = {first(1, Purpose::split, 1, 1), first(2, Purpose::split, 1, 1),
                                             first(1, Purpose::bootstrap, 1, 1), first(1, Purpose::split, 2, 1),
                                             first(1, Purpose::split, 1, 2)};
  for (std::size_t i = 0; i < values.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) CHECK(values[i] != values[j]);
  CHECK(first(1, Purpose::split, 1, 1) == values[0]);
}

TEST_CASE("random: uniform numbers") {
  RandomStream stream(1, Purpose::validation);
  const int n = 200000;
  double sum = 0, square = 0, low = 1, high = 0;
  for (int i = 0; i < n; ++i) {
    const double u = stream.uniform();
    sum += u;
    square += u * u;
    low = std::min(low, u);
    high = std::max(high, u);
  }
  CHECK(low >= 0);
  CHECK(low < 1e-4);
  CHECK(high < 1);
  CHECK(high > 1 - 1e-4);
  // five standard errors: sqrt(1/12/n) = 6.5e-4 and sqrt(4/45/n) = 6.7e-4
  CHECK(sum / n == test::relative(0.5).epsilon(0).scale(1).epsilon(3.3e-3));
  CHECK(std::abs(square / n - 1.0 / 3) < 3.4e-3);
}

TEST_CASE("random: below is unbiased and within its bound") {
  RandomStream stream(1, Purpose::batch_order);
  std::vector<int> counts(7, 0);
  for (int i = 0; i < 70000; ++i) ++counts.at(stream.below(7));
  for (const int count : counts) CHECK(std::abs(count - 10000) < 5 * 93);  // sqrt(70000 * 6/49) = 93
  CHECK(stream.below(1) == 0);
  CHECK_THROWS_WITH_AS(stream.below(0), "RandomStream::below needs a positive bound", Error);
}

TEST_CASE("random: below rejects the values that would bias it") {
  // 2^64 raw values onto 3 * 2^62 results: floor(3 raw / 4) gives every third result, the multiples of three,
  // twice, unless one of the two is sent away.
  RandomStream stream(5, Purpose::split);
  const std::uint64_t bound = 3ULL << 62;
  std::vector<int> residues(3, 0), thirds(3, 0);
  for (int i = 0; i < 30000; ++i) {
    const std::uint64_t value = stream.below(bound);
    ++residues.at(value % 3);
    ++thirds.at(value >> 62);
  }
  for (const auto& counts : {residues, thirds})
    for (const int count : counts) CHECK(std::abs(count - 10000) < 5 * 82);
}

namespace {

/// First four moments, and the largest magnitude, of standard normals.
template <class T>
void check_normal(const std::vector<T>& values) {
  const double n = static_cast<double>(values.size());
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0, neighbours = 0, largest = 0, beyond_two = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double z = values[i];
    m1 += z;
    m2 += z * z;
    m3 += z * z * z;
    m4 += z * z * z * z;
    if (i > 0) neighbours += z * values[i - 1];
    largest = std::max(largest, std::abs(z));
    beyond_two += std::abs(z) > 2 ? 1 : 0;
  }
  // five standard errors: variances of z, z^2, z^3, z^4 are 1, 2, 15, 96
  const double error = 5 / std::sqrt(n);
  CHECK(std::abs(m1 / n) < error);
  CHECK(std::abs(m2 / n - 1) < error * std::sqrt(2.0));
  CHECK(std::abs(m3 / n) < error * std::sqrt(15.0));
  CHECK(std::abs(m4 / n - 3) < error * std::sqrt(96.0));
  CHECK(std::abs(neighbours / n) < error);
  CHECK(std::abs(beyond_two / n - 0.0455002639) < error * std::sqrt(0.0455 * 0.9545));
  CHECK(largest > 4);
  CHECK(largest < 6.67);
}

}  // namespace

TEST_CASE("random: normals have the right moments") {
  std::vector<double> doubles(400000);
  RandomStream(3, Purpose::emulator_noise).fill_normal(std::span<double>(doubles));
  check_normal(doubles);
  std::vector<float> floats(2000000);
  RandomStream(3, Purpose::diffusion_noise).fill_normal(std::span<float>(floats));
  check_normal(floats);
}

TEST_CASE("random: single-precision normals are the Box-Muller transform of the stream") {
  std::vector<float> values(4096 + 5);
  RandomStream(11, Purpose::refine_forward, 2).fill_normal(std::span<float>(values));
  RandomStream raw(11, Purpose::refine_forward, 2);
  double worst = 0;
  for (std::size_t i = 0; i + 1 < values.size(); i += 2) {
    const std::uint64_t bits = raw.next_u64();
    const double u = (static_cast<double>(bits >> 33) + 0.5) * 0x1p-31;
    const double angle = 2 * 3.14159265358979323846 * static_cast<double>(bits & 0xffffffffULL) * 0x1p-32;
    const double radius = std::sqrt(-2 * std::log(u));
    worst = test::worst_of({worst, std::abs(values[i] - radius * std::cos(angle))});
    worst = test::worst_of({worst, std::abs(values[i + 1] - radius * std::sin(angle))});
  }
  // Single precision: 1e-6 where the radius is of order one. Near u = 1 the radius is a square root of a
  // difference that float rounds to 2^-24, which moves it by up to sqrt(2^-24) = 2.4e-4 in rare values.
  CHECK(worst < 2.5e-4);
  CHECK(worst > 0);
}

TEST_CASE("random: single-precision normals, recorded values") {
  // The same on every machine: guards the bits of all recorded results.
  std::vector<float> values(4);
  RandomStream(2024, Purpose::diffusion_noise, 7, 3).fill_normal(std::span<float>(values));
  CHECK(values[0] == -0x1.470632p+0f);
  CHECK(values[1] == 0x1.81db3ep-2f);
  CHECK(values[2] == -0x1.6bd9e8p-4f);
  CHECK(values[3] == 0x1.215042p-1f);
}

TEST_CASE("random: how a fill may be split") {
  const std::size_t n = 1000;
  std::vector<float> whole(n), parts(n), start(13);
  RandomStream(4, Purpose::refine_reverse).fill_normal(std::span<float>(whole));
  RandomStream split(4, Purpose::refine_reverse);
  const std::span<float> all(parts);
  split.fill_normal(all.subspan(0, 8));
  split.fill_normal(all.subspan(8, 160));
  split.fill_normal(all.subspan(168));
  CHECK(whole == parts);
  RandomStream(4, Purpose::refine_reverse).fill_normal(std::span<float>(start));
  CHECK(std::equal(start.begin(), start.end(), whole.begin()));

  std::vector<double> doubles(n), single(n);
  RandomStream(4, Purpose::refine_reverse).fill_normal(std::span<double>(doubles));
  RandomStream one(4, Purpose::refine_reverse);
  for (double& value : single) value = one.normal();
  CHECK(doubles == single);
}
