// Beginning and ending a capture, and running what it recorded.
#pragma once

#include "running.h"

namespace pretended {

Tensor drawn;  // state of the generator before the capture

void begin_capture(Graph& graph) {
  TORCH_CHECK(capturing == nullptr, "a capture is under way");
  graph.work.clear();
  before.clear();
  born.clear();
  broken = false;
  drawn = Tensor(inner_of(default_generator()).get_state());
  captured_stream = current_stream;
  capturing = &graph;
}

// Nothing ran: what was there is as it was, what is new holds nothing, and no random number was drawn.
void undo_capture() {
  inner_of(default_generator()).set_state(drawn);
  drawn = Tensor();
  for (auto& [storage, kept] : before)
    std::memcpy(const_cast<void*>(kept.first.data()), kept.second.data(), kept.second.size());
  for (auto& storage : born)
    if (storage.nbytes()) std::memset(const_cast<void*>(storage.data()), 0xFF, storage.nbytes());
  before.clear();
  born.clear();
}

void end_capture(Graph& graph) {
  capturing = nullptr;
  undo_capture();
  if (std::exchange(broken, false)) {
    graph.work.clear();
    TORCH_CHECK(false, "CUDA error: operation failed due to a previous error during capture");
  }
}

void replay(Graph& graph) {
  ++replayed;
  for (const auto& step : graph.work) {
    auto outputs = compute(step.op, step.inputs);
    for (size_t i = 0; i < outputs.size(); ++i) {
      std::vector<Tensor> fresh, kept;
      each_tensor(outputs[i], [&](const Tensor& tensor) { fresh.push_back(tensor); });
      each_tensor(step.outputs[i], [&](const Tensor& tensor) { kept.push_back(tensor); });
      for (size_t j = 0; j < fresh.size(); ++j) {
        if (!fresh[j].defined() || fresh[j].is_same(kept[j])) continue;
        if (fresh[j].storage().data() == kept[j].storage().data()) continue;
        at::AutoDispatchBelowADInplaceOrView below;
        as_cpu(kept[j]).copy_(as_cpu(fresh[j]));
      }
    }
  }
}

}  // namespace pretended
