// TensorFloat-32: what an Ampere or later GPU makes of float32 operands where torch's settings let it.
#pragma once

#include "tables.h"

#include <ATen/Context.h>

namespace pretended {

bool has_tf32 = false;

// Whether this operator rounds its operands: asks torch's settings as its own kernels do.
bool rounds_operands(const std::string& name) {
  if (!has_tf32) return false;
  const auto& context = at::globalContext();
  if (CONVOLUTIONS.count(name)) return context.allowTF32CuDNN(at::Float32Op::CONV);
  return MATRIX_PRODUCTS.count(name) &&
         context.float32Precision(at::Float32Backend::CUDA, at::Float32Op::MATMUL) == at::Float32Precision::TF32;
}

// Ten bits of the mantissa, to the nearest, ties to even.
Tensor as_tf32(const Tensor& values) {
  if (values.scalar_type() != at::kFloat) return values;
  at::AutoDispatchBelowADInplaceOrView below;
  auto bits = values.contiguous().view(at::kInt);
  auto odd = bits.bitwise_right_shift(13).bitwise_and(1);
  return bits.add(0xFFF).add(odd).bitwise_and(~0x1FFF).view(at::kFloat);
}

}  // namespace pretended
