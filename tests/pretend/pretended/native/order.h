// Sums whose order changes from run to run on CUDA, and torch.use_deterministic_algorithms, which asks for none.
#pragma once

#include "tables.h"
#include "tensors.h"

#include <ATen/Context.h>

#include <cstdlib>

namespace pretended {

bool accumulates(const std::string& name, const std::vector<IValue>& inputs) {
  return (name == "index_put_" || name == "_index_put_impl_" || name == "index_put") && inputs.size() > 3 &&
         inputs[3].isBool() && inputs[3].toBool();
}

bool is_floating(const std::vector<IValue>& inputs) {
  return !inputs.empty() && inputs[0].isTensor() && inputs[0].toTensor().is_floating_point();
}

void look_at_order(const std::string& name, const std::vector<IValue>& inputs) {
  const auto& context = at::globalContext();
  const bool asked = context.deterministicAlgorithms();
  if (ALWAYS_UNORDERED.count(name)) {
    if (asked) at::Context::alertNotDeterministic(name);
    tell("unordered", name);
  } else if (SILENTLY_UNORDERED.count(name)) {
    tell("unordered", name);
  } else if (accumulates(name, inputs)) {
    if (!asked) tell("unordered", name + " (accumulate)");
  } else if (UNORDERED.count(name) && is_floating(inputs) && !asked) {
    if (name != "convolution_backward" || !context.deterministicCuDNN()) tell("unordered", name);
  }
}

}  // namespace pretended
