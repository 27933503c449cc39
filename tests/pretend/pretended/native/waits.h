// Operators for which the host waits for the device: refused in a capture, and told.
#pragma once

#include "graphs.h"
#include "tables.h"
#include "tensors.h"

namespace pretended {

void wait(const char* kind, const std::string& what, int64_t bytes = 0) {
  refuse_while_capturing(what);
  tell(kind, what, bytes);
}

bool is_mask(const Tensor& index) {
  return index.defined() && (index.scalar_type() == at::kBool || index.scalar_type() == at::kByte);
}

// x[mask] = number is a masked_fill_ without a wait; x[rows] = number copies the number to the device.
void look_at_indices(const std::string& name, const std::vector<IValue>& inputs) {
  const bool fills = inputs.size() > 3 && inputs[2].isTensor() && !on_device(inputs[2].toTensor()) &&
                     inputs[2].toTensor().numel() == 1 && !inputs[3].toBool();
  bool masks = false;
  each_tensor(inputs[1], [&](const Tensor& index) { masks |= is_mask(index); });
  if (fills && !masks) wait("upload", name + " (number at indices)", inputs[2].toTensor().element_size());
  each_tensor(inputs[1], [&](const Tensor& index) {
    if (index.defined() && !on_device(index)) {
      wait("upload", name + " (index on the CPU)", index.nbytes());
    } else if (is_mask(index) && !fills) {
      wait("shape", name + " (boolean mask)");
    }
  });
}

void look_at_waits(const std::string& name, const std::vector<IValue>& inputs) {
  if (INDEXING.count(name)) look_at_indices(name, inputs);
  if (auto found = WAITS.find(name); found != WAITS.end()) wait(found->second, name);
  if (name == "repeat_interleave.Tensor" && inputs.size() > 1 && inputs[1].isNone()) wait("shape", name);
}

}  // namespace pretended
