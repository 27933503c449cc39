// Operators whose tensors are not all on one device.
#pragma once

#include "tables.h"
#include "tensors.h"

namespace pretended {

Names lenient;  // operators without torch's own device check (`device_check: NoCheck`): their TensorIterator checks

struct Mixture {
  bool cuda = false, cpu = false, cpu_scalar = false;

  void add(const IValue& value) {
    each_tensor(value, [&](const Tensor& tensor) {
      if (!tensor.defined()) return;
      if (on_device(tensor)) {
        cuda = true;
      } else if (tensor.dim() == 0) {
        cpu_scalar |= !tensor.unsafeGetTensorImpl()->is_wrapped_number();
      } else {
        cpu = true;
      }
    });
  }
};

bool is_lenient(const OperatorHandle& op) {
  return lenient.count(op.operator_name().name + "." + op.operator_name().overload_name);
}

// A 0-dim CPU tensor may stand among CUDA ones where a TensorIterator takes it; foreach takes its slow path then.
// Indices may be on the CPU, unless what they index is.
void check_devices(const OperatorHandle& op, const std::string& name, const std::vector<IValue>& inputs) {
  const bool indexes = INDEXING.count(name);
  Mixture found;
  for (size_t position = 0; position < inputs.size(); ++position) {
    if (indexes && position == 1) {
      TORCH_CHECK(!found.cpu, "indices should be either on cpu or on the same device as the indexed tensor (cpu)");
      continue;
    }
    found.add(inputs[position]);
  }
  if (!found.cuda || !(found.cpu || found.cpu_scalar)) return;
  if (name.rfind("_foreach_", 0) == 0) {
    tell("mix", name + " (slow path)");
    return;
  }
  TORCH_CHECK(!found.cpu && (is_lenient(op) || indexes),
              "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! (", name,
              ")");
  tell("mix", name);
}

// cuBLAS and cuDNN multiply no whole numbers.
void check_kernel(const std::string& name, const std::vector<IValue>& inputs) {
  if (!PRODUCTS.count(name) && !MATRIX_PRODUCTS.count(name)) return;
  for (const auto& value : inputs) {
    each_tensor(value, [&](const Tensor& tensor) {
      if (on_device(tensor) && c10::isIntegralType(tensor.scalar_type(), true))
        TORCH_CHECK_NOT_IMPLEMENTED(false, "\"", name, "_cuda\" not implemented for '", tensor.scalar_type(), "'");
    });
  }
}

}  // namespace pretended
