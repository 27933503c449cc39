// The capture of a graph: operators as they are dispatched to one stream, and what has to be undone, as none of them ran.
#pragma once

#include "seen.h"

#include <utility>
#include <vector>

namespace pretended {

struct Recorded {
  OperatorHandle op;
  std::vector<IValue> inputs;
  std::vector<IValue> outputs;
};

struct Graph {
  std::vector<Recorded> work;
};

thread_local int64_t current_stream = 0;

Graph* capturing = nullptr;
int64_t captured_stream = 0;
bool broken = false;
// Memory that was there before the capture and that it wrote to, as it was.
std::unordered_map<c10::StorageImpl*, std::pair<c10::Storage, std::string>> before;
std::vector<c10::Storage> born;

// Whether what this thread does now goes into a graph. What other threads do on their own streams does not, as in the
// mode `thread_local`; autograd runs a backward pass on the stream of its forward pass, and so do we.
bool is_captured() { return capturing != nullptr && current_stream == captured_stream; }

void refuse_while_capturing(const std::string& what) {
  if (!is_captured()) return;
  broken = true;
  TORCH_CHECK(false, "CUDA error: operation not permitted when stream is capturing (pretended: ", what, ")");
}

void remember_born(const Tensor& tensor) {
  if (is_captured()) born.push_back(tensor.storage());
}

void remember_written(const Tensor& written) {
  auto storage = written.storage();
  for (const auto& each : born)
    if (each.unsafeGetStorageImpl() == storage.unsafeGetStorageImpl()) return;
  if (before.count(storage.unsafeGetStorageImpl())) return;
  before.emplace(storage.unsafeGetStorageImpl(),
                 std::make_pair(storage, std::string(static_cast<const char*>(storage.data()), storage.nbytes())));
}

}  // namespace pretended
