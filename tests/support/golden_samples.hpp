#pragma once
// Recorded arrays of the reference solvers. Large ones are kept as every `stride`-th row and column, with the
// norm of every whole plane. A difference that is spread over the field shows at the points that are kept, a
// large one elsewhere in the norm; a small one at the other points alone does not: SNS_GOLDEN_WHOLE compares
// all.
#include "core/error.hpp"
#include "core/hdf5.hpp"
#include "tests/support/golden_folder.hpp"
#include "tests/support/worst_of.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace sns::test {

/// A record beside the tests.
inline h5::File golden_data(const std::string& name) {
  return h5::File::open_read(reduced_golden_file(name));
}

/// The same or, where the whole files are asked for, the one with all points of all arrays.
inline h5::File golden(const std::string& name) {
  return whole_golden() ? h5::File::open_read(whole_golden_file("solvers", name)) : golden_data(name);
}

/// Whether a record is there; the test's output says where it is not, and nothing can be compared.
inline bool has_record(const h5::Group& group, const std::string& name) {
  if (group.exists(name)) return true;
  const std::string others = whole_golden() ? "" : " but in the whole files (SNS_GOLDEN)";
  MESSAGE("not compared: there is no record of ", name, others);
  return false;
}

/// A recorded array [item][rows][columns] or, complex, [item][rows][columns][re, im]; leading axes count as
/// one.
class Record {
 public:
  explicit Record(const h5::Dataset& dataset) : points_(dataset.read<double>()) {
    h5::Shape shape = dataset.shape();
    if (shape.size() > 2 && shape.back() == 2) {
      parts_ = 2;
      shape.pop_back();
    }
    kept_columns_ = shape.at(shape.size() - 1);
    kept_rows_ = shape.at(shape.size() - 2);
    rows_ = kept_rows_;
    columns_ = kept_columns_;
    const std::size_t size = kept_rows_ * kept_columns_ * parts_;
    if (dataset.has_attribute("stride")) {
      stride_ = static_cast<std::size_t>(dataset.attribute<std::int64_t>("stride"));
      rows_ = static_cast<std::size_t>(dataset.attribute<std::int64_t>("rows"));
      columns_ = static_cast<std::size_t>(dataset.attribute<std::int64_t>("columns"));
      norms_ = dataset.attribute<std::vector<double>>("norm");
    } else {
      for (std::size_t at = 0; at < points_.size(); at += size) norms_.push_back(norm(&points_[at], size));
    }
    require(norms_.size() * size == points_.size(), "{} does not hold what its attributes say",
            dataset.label());
  }

  /// How far `value`, one item after another, lies from the record's items from `first` on: the largest, over
  /// items, of |value - record| / |record| in the Euclidean norm, estimated from the points that are there, and
  /// of the same of the norms of all points.
  double error(const std::vector<double>& value, std::size_t first = 0) const {
    const std::size_t plane = rows_ * columns_ * parts_, items = value.size() / plane;
    if (value.size() % plane != 0 || first + items > norms_.size()) return INFINITY;
    double worst = 0;
    for (std::size_t item = 0; item < items; ++item) {
      const double* ours = &value[item * plane];
      const double* theirs = &points_[(first + item) * kept_rows_ * kept_columns_ * parts_];
      double difference = 0;
      for (std::size_t i = 0; i < kept_rows_; ++i)
        for (std::size_t j = 0; j < kept_columns_ * parts_; ++j, ++theirs) {
          const double x = ours[(i * stride_ * columns_ + j / parts_ * stride_) * parts_ + j % parts_];
          difference += (x - *theirs) * (x - *theirs);
        }
      const double whole = norms_[first + item];
      const double kept =
          static_cast<double>(kept_rows_ * kept_columns_) / static_cast<double>(rows_ * columns_);
      worst =
          worst_of({worst, std::sqrt(difference / kept) / whole, std::abs(norm(ours, plane) - whole) / whole});
    }
    return worst;
  }

 private:
  static double norm(const double* values, std::size_t count) {
    long double square = 0;  // so that the sum's rounding stays below the values'
    for (std::size_t i = 0; i < count; ++i) square += static_cast<long double>(values[i]) * values[i];
    return static_cast<double>(std::sqrt(square));
  }

  std::vector<double> points_, norms_;
  std::size_t rows_ = 0, columns_ = 0, kept_rows_ = 0, kept_columns_ = 0, parts_ = 1, stride_ = 1;
};

/// Distance of `value` from all of a recorded array.
inline double golden_error(const std::vector<double>& value, const h5::Group& group, const std::string& name) {
  return Record(group.dataset(name)).error(value);
}

}  // namespace sns::test
