#include "emulator/flop_counter.hpp"

#include <ATen/record_function.h>

#include <atomic>
#include <string_view>
#include <vector>

namespace sns {
namespace {

std::atomic<std::int64_t> products{0};

std::int64_t volume(at::IntArrayRef sizes) {
  return c10::multiply_integers(sizes);
}

/// Products of one pass over a convolution: one for each output (of a transposed one: input) pixel, channel of
/// either side within a group, and entry of the kernel. weight [out, in / groups, k, k], transposed [in, out /
/// groups, k, k].
std::int64_t convolution_products(at::IntArrayRef input, at::IntArrayRef output, at::IntArrayRef weight,
                                  bool transposed) {
  const at::IntArrayRef image = transposed ? input : output;
  return volume(image) * volume(weight) / weight[0];
}

/// A list of one number for each axis; it may hold one for all.
class PerAxis {
 public:
  explicit PerAxis(const c10::IValue& list) : numbers_(list.toIntVector()) {}
  std::int64_t operator[](std::size_t axis) const { return numbers_[numbers_.size() == 1 ? 0 : axis]; }

 private:
  std::vector<std::int64_t> numbers_;
};

/// Shape of a convolution's output, from the arguments of aten::convolution.
std::vector<std::int64_t> output_shape(c10::ArrayRef<const c10::IValue> in, bool transposed) {
  const auto input = in[0].toTensor().sizes(), weight = in[1].toTensor().sizes();
  const PerAxis stride(in[3]), padding(in[4]), dilation(in[5]), extra(in[7]);
  const std::int64_t groups = in[8].toInt();
  std::vector<std::int64_t> shape{input[0], transposed ? weight[1] * groups : weight[0]};
  for (std::size_t d = 0; d + 2 < input.size(); ++d) {
    const std::int64_t reach = dilation[d] * (weight[d + 2] - 1);
    shape.push_back(transposed ? (input[d + 2] - 1) * stride[d] - 2 * padding[d] + reach + extra[d] + 1
                               : (input[d + 2] + 2 * padding[d] - reach - 1) / stride[d] + 1);
  }
  return shape;
}

/// aten::convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups)
std::int64_t forward_products(c10::ArrayRef<const c10::IValue> in) {
  const bool transposed = in[6].toBool();
  return convolution_products(in[0].toTensor().sizes(), output_shape(in, transposed), in[1].toTensor().sizes(),
                              transposed);
}

/// aten::convolution_backward(gradient, input, weight, bias_sizes, stride, padding, dilation, transposed,
/// output_padding, groups, output_mask): as many again for each of the gradients of input and weight that is
/// wanted.
std::int64_t backward_products(c10::ArrayRef<const c10::IValue> in) {
  const auto wanted = in[10].toBoolList();
  return ((wanted[0] ? 1 : 0) + (wanted[1] ? 1 : 0)) *
         convolution_products(in[1].toTensor().sizes(), in[0].toTensor().sizes(), in[2].toTensor().sizes(),
                              in[7].toBool());
}

/// [.., n, k] x [.., k, m] without broadcasting
std::int64_t matrix_products(const at::Tensor& a, const at::Tensor& b) {
  return a.numel() * b.size(-1);
}

std::unique_ptr<at::ObserverContext> observe(const at::RecordFunction& function) {
  const std::string_view name = function.name();
  const auto in = function.inputs();
  if (name == "aten::convolution")
    products += forward_products(in);
  else if (name == "aten::convolution_backward")
    products += backward_products(in);
  else if (name == "aten::mm" || name == "aten::bmm")
    products += matrix_products(in[0].toTensor(), in[1].toTensor());
  else if (name == "aten::addmm" || name == "aten::baddbmm")
    products += matrix_products(in[1].toTensor(), in[2].toTensor());
  return nullptr;
}

}  // namespace

FlopCounter::FlopCounter() {
  products = 0;
  handle_ = at::addGlobalCallback(
      at::RecordFunctionCallback(observe).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
}

FlopCounter::~FlopCounter() {
  at::removeCallback(handle_);
}

double FlopCounter::count() const {
  return 2.0 * static_cast<double>(products.load());
}

}  // namespace sns
