// Tensors of one device read as tensors of the other, on the same memory.
#pragma once

#include "graphs.h"
#include "memory.h"

#include <functional>

namespace pretended {

Tensor on_memory(c10::DataPtr data, size_t bytes, c10::Allocator* allocator, c10::DispatchKey key, const Tensor& like) {
  auto storage = c10::make_intrusive<c10::StorageImpl>(
      c10::StorageImpl::use_byte_size_t(), bytes, std::move(data), allocator, /*resizable=*/true);
  auto made = at::detail::make_tensor<c10::TensorImpl>(c10::Storage(storage), c10::DispatchKeySet(key), like.dtype());
  made.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
  made._set_conj(like.is_conj());
  made._set_neg(like.is_neg());
  return made;
}

Tensor as_cpu(const Tensor& tensor) {
  auto* keeps = new c10::Storage(tensor.storage());
  c10::DataPtr data(const_cast<void*>(tensor.storage().data()), keeps,
                    [](void* context) { delete static_cast<c10::Storage*>(context); },
                    c10::Device(c10::DeviceType::CPU));
  auto made = on_memory(std::move(data), tensor.storage().nbytes(), c10::GetAllocator(c10::DeviceType::CPU), c10::DispatchKey::CPU,
                        tensor);
  if (tensor.unsafeGetTensorImpl()->is_wrapped_number()) made.unsafeGetTensorImpl()->set_wrapped_number(true);
  return made;
}

Tensor as_cuda(const Tensor& tensor) {
  auto bytes = rounded(tensor.storage().nbytes());
  take(bytes);
  void* memory = const_cast<void*>(tensor.storage().data());
  c10::DataPtr data(memory, new Block{memory, bytes, tensor}, &release, CUDA);
  auto made = on_memory(std::move(data), tensor.storage().nbytes(), &device_allocator, c10::DispatchKey::CUDA, tensor);
  remember_born(made);
  return made;
}

bool on_device(const Tensor& tensor) { return tensor.defined() && tensor.device().type() == c10::DeviceType::CUDA; }

template <typename F>
IValue over_tensors(const IValue& value, F&& change) {
  if (value.isTensor()) return IValue(change(value.toTensor()));
  if (value.isTensorList()) {
    c10::List<Tensor> list;
    for (const Tensor& each : value.toTensorVector()) list.push_back(change(each));
    return IValue(list);
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<Tensor>> list;
    for (const std::optional<Tensor>& each : value.toOptionalTensorVector())
      list.push_back(each ? std::optional<Tensor>(change(*each)) : std::nullopt);
    return IValue(list);
  }
  return value;
}

void each_tensor(const IValue& value, const std::function<void(const Tensor&)>& look) {
  over_tensors(value, [&](const Tensor& tensor) { look(tensor); return tensor; });
}

}  // namespace pretended
