// Operators that need more than the CPU's kernel: new memory, copies between devices, one number.
#pragma once

#include "running.h"

namespace pretended {

Tensor empty(c10::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
             std::optional<at::Device> device, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  TORCH_CHECK(!device || device->index() <= 0, "CUDA error: invalid device ordinal");
  Tensor made = at::detail::empty_generic(size, &device_allocator, c10::DispatchKeySet(c10::DispatchKey::CUDA),
                                        c10::dtype_or_default(dtype), format);
  remember_born(made);
  return made;
}

Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<at::ScalarType> dtype,
                     std::optional<at::Layout>, std::optional<at::Device> device, std::optional<bool>) {
  TORCH_CHECK(!device || device->index() <= 0, "CUDA error: invalid device ordinal");
  Tensor made = at::detail::empty_strided_generic(size, stride, &device_allocator,
                                                c10::DispatchKeySet(c10::DispatchKey::CUDA),
                                                c10::dtype_or_default(dtype));
  remember_born(made);
  return made;
}

void copy(const OperatorHandle& op, Stack* stack) {
  const auto inputs = torch::jit::last(*stack, 3).vec();
  const auto target = inputs[0].toTensor(), source = inputs[1].toTensor();
  const bool non_blocking = inputs[2].toBool();
  const auto bytes = static_cast<int64_t>(source.nbytes());
  if (!on_device(source)) {
    const bool is_free = non_blocking && is_pinned(source.storage().data());
    if (!is_free) refuse_while_capturing("copy from pageable memory");
    tell(is_free ? "upload, free" : non_blocking ? "upload, pageable but non_blocking" : "upload", "copy_", bytes);
  } else if (!on_device(target)) {
    const bool is_free = non_blocking && is_pinned(target.storage().data());
    if (!is_free) refuse_while_capturing("copy to the host");
    tell(is_free ? "download, free" : "download", "copy_", bytes);
  }
  count("copy_");
  if (is_captured() && on_device(target)) remember_written(target);
  compute(op, inputs);
  if (is_captured()) capturing->work.push_back({op, inputs, {inputs[0]}});
  torch::jit::drop(*stack, 3);
  stack->push_back(inputs[0]);
}

at::Scalar item(const Tensor& self) {
  wait("download", "item", self.element_size());
  at::AutoDispatchBelowADInplaceOrView below;
  return as_cpu(self).item();
}

void record_stream(Tensor&, at::Stream) {}

struct NoAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t) override { return {nullptr, nullptr, &DeviceAllocator::release_nothing, CUDA}; }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void*, const void*, std::size_t) const override {}
} no_allocator;

Tensor zero_tensor(c10::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                   std::optional<at::Device>, std::optional<bool>) {
  return Tensor(at::detail::empty_generic(
      size, &no_allocator, c10::DispatchKeySet({c10::DispatchKey::CUDA, c10::DispatchKey::ZeroTensor}),
      c10::dtype_or_default(dtype), std::nullopt));
}

}  // namespace pretended
