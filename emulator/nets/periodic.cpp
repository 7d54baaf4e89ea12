#include "emulator/nets/periodic.hpp"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <vector>

namespace sns {
namespace {

/// An image is `rows` rows of `row` numbers, `pixel` of which are neighbours that stand at one place. Channels
/// last: an image is a sample, a pixel its C channels. Otherwise each channel of a sample is an image.
struct Layout {
  std::int64_t images, rows, row, pixel;

  Layout(const torch::Tensor& x, at::MemoryFormat format)
      : images(x.size(0)), rows(x.size(2)), row(x.size(3)), pixel(1) {
    if (format == at::MemoryFormat::ChannelsLast) {
      pixel = x.size(1);
      row *= pixel;
    } else {
      images *= x.size(1);
    }
  }
};

constexpr std::int64_t kGrain = 1 << 15;  // numbers per task: smaller ones do not pay for waking a thread

template <class Body>
void for_each_image(const Layout& layout, const Body& body) {
  const std::int64_t grain = std::max<std::int64_t>(1, kGrain / (layout.rows * layout.row));
  at::parallel_for(0, layout.images, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t index = begin; index < end; ++index) body(index);
  });
}

/// One ring of periodic neighbours around every image, in a single pass.
template <class Number>
void pad(const Layout& in, const Number* from, Number* to) {
  const std::int64_t row_out = in.row + 2 * in.pixel;
  for_each_image(in, [&](std::int64_t index) {
    const Number* const image = from + index * in.rows * in.row;
    Number* out = to + index * (in.rows + 2) * row_out;
    for (std::int64_t i = -1; i <= in.rows; ++i, out += row_out) {
      const Number* const row = image + (i + in.rows) % in.rows * in.row;
      std::copy_n(row + in.row - in.pixel, in.pixel, out);
      std::copy_n(row, in.row, out + in.pixel);
      std::copy_n(row, in.pixel, out + in.pixel + in.row);
    }
  });
}

/// Transpose of `pad`: adds the ring's values to the pixels they were copied from.
void fold(const Layout& out, const float* from, float* to) {
  const std::int64_t row_in = out.row + 2 * out.pixel;
  for_each_image(out, [&](std::int64_t index) {
    const float* const image = from + index * (out.rows + 2) * row_in;
    float* const result = to + index * out.rows * out.row;
    const auto add_row = [&](const float* in, float* row, bool first) {
      if (first)
        std::copy_n(in + out.pixel, out.row, row);
      else
        for (std::int64_t j = 0; j < out.row; ++j) row[j] += in[out.pixel + j];
      for (std::int64_t j = 0; j < out.pixel; ++j) {
        row[out.row - out.pixel + j] += in[j];
        row[j] += in[out.pixel + out.row + j];
      }
    };
    for (std::int64_t i = 0; i < out.rows; ++i) add_row(image + (i + 1) * row_in, result + i * out.row, true);
    add_row(image, result + (out.rows - 1) * out.row, false);
    add_row(image + (out.rows + 1) * row_in, result, false);
  });
}

torch::Tensor padded(const torch::Tensor& x, at::MemoryFormat format) {
  const torch::Tensor source = x.contiguous(format);
  torch::Tensor out = at::empty({x.size(0), x.size(1), x.size(2) + 2, x.size(3) + 2}, x.options(), format);
  const Layout layout(source, format);
  if (x.scalar_type() == torch::kFloat32)
    pad(layout, source.const_data_ptr<float>(), out.mutable_data_ptr<float>());
  else
    pad(layout, source.const_data_ptr<at::BFloat16>(), out.mutable_data_ptr<at::BFloat16>());
  return out;
}

/// conv2d of the padded image with a hand-made ring: PyTorch's own circular padding costs ten small copies in
/// each direction, as much as a convolution of the small networks.
class PaddedConvolution : public torch::autograd::Function<PaddedConvolution> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight, const torch::Tensor& bias, std::int64_t stride,
                               at::MemoryFormat format) {
    const torch::Tensor ring = padded(x, format);
    context->save_for_backward({ring, weight});
    context->saved_data["stride"] = stride;
    return at::conv2d(ring, weight, bias, stride);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &ring = saved[0], &weight = saved[1];
    const std::int64_t stride = context->saved_data["stride"].toInt();
    const std::int64_t bias_shape[] = {weight.size(0)};
    const std::array<bool, 3> wanted = {context->needs_input_grad(0), context->needs_input_grad(1),
                                        context->needs_input_grad(2)};
    auto [to_ring, to_weight, to_bias] =
        at::convolution_backward(gradients[0], ring, weight, at::IntArrayRef(bias_shape), {stride, stride},
                                 {0, 0}, {1, 1}, false, {0, 0}, 1, wanted);
    torch::Tensor to_x;
    if (wanted[0]) {
      const at::MemoryFormat format = ring.suggest_memory_format();
      const torch::Tensor source = to_ring.contiguous(format);
      to_x =
          at::empty({ring.size(0), ring.size(1), ring.size(2) - 2, ring.size(3) - 2}, ring.options(), format);
      fold(Layout(to_x, format), source.const_data_ptr<float>(), to_x.mutable_data_ptr<float>());
    }
    return {to_x, to_weight, to_bias, torch::Tensor(), torch::Tensor()};
  }
};

}  // namespace

torch::Tensor composed_periodic_convolution(const torch::Tensor& x, const torch::Tensor& weight,
                                            const torch::Tensor& bias, int stride, at::MemoryFormat format) {
  if (format != at::MemoryFormat::ChannelsLast)
    return at::conv2d(at::pad(x, {1, 1, 1, 1}, "circular"), weight, bias, stride);
  // PyTorch's padding forgets the order of its argument; cat keeps it.
  torch::Tensor ring = x.contiguous(format);
  for (const std::int64_t axis : {2, 3})
    ring = at::cat({ring.narrow(axis, ring.size(axis) - 1, 1), ring, ring.narrow(axis, 0, 1)}, axis);
  return at::conv2d(ring.contiguous(format), weight, bias, stride);
}

torch::Tensor periodic_convolution(const torch::Tensor& x, const torch::Tensor& weight,
                                   const torch::Tensor& bias, int stride, at::MemoryFormat format) {
  if (format == at::MemoryFormat::Preserve) format = x.suggest_memory_format();
  // Autocast casts inside conv2d, where the hand-made backward would meet two types.
  const bool trains = at::GradMode::is_enabled(), single = x.scalar_type() == torch::kFloat32;
  if (!x.device().is_cpu() || at::autocast::is_autocast_enabled(at::kCPU) ||
      !(single || (!trains && x.scalar_type() == torch::kBFloat16)))
    return composed_periodic_convolution(x, weight, bias, stride, format);
  if (!trains) return at::conv2d(padded(x, format), weight, bias, stride);
  return PaddedConvolution::apply(x, weight, bias, std::int64_t{stride}, format);
}

}  // namespace sns
