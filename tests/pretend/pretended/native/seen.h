// What is seen: operators by name, and everything else by a call to an observer in Python.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <pybind11/pybind11.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/graph_task.h>

#include <atomic>
#include <mutex>
#include <string>
#include <unordered_map>

namespace pretended {

namespace py = pybind11;
using at::Tensor;
using c10::IValue;
using c10::OperatorHandle;
using torch::jit::Stack;

const c10::Device CUDA(c10::DeviceType::CUDA, 0);

std::mutex mutex;
std::unordered_map<std::string, int64_t> counts;
std::atomic<int64_t> replayed{0};
py::object* observer = nullptr;
bool tracing = false;

std::string name_of(const OperatorHandle& op) {
  const auto& name = op.operator_name();
  return name.overload_name.empty() ? name.name.substr(6) : name.name.substr(6) + "." + name.overload_name;
}

// Calls from threads that autograd started take the lock of Python as any other.
void tell(const char* kind, const std::string& what, int64_t bytes = 0) {
  if (observer == nullptr || !Py_IsInitialized()) return;
  py::gil_scoped_acquire gil;
  auto node = torch::autograd::get_current_node();
  (*observer)(kind, what, node ? node->name() : std::string(), bytes);
}

void count(const std::string& name) {
  {
    std::lock_guard<std::mutex> lock(mutex);
    ++counts[name];
  }
  if (tracing) tell("op", name);
}

}  // namespace pretended
