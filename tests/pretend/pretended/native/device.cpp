// A CUDA device that is none: every kernel of the dispatch key CUDA gives way to one function over the CPU's kernels.
//
// So a tensor is a `cuda:0` tensor to all of torch (autograd with its threads of the device, autocast, functorch, the
// foreach and fused optimisers, pickling are torch's own), and its values are the CPU's. ../README.md says what that
// shows and what it cannot. The headers belong to this file alone.

#include "captures.h"
#include "machine.h"
#include "own_operators.h"

#include <pybind11/stl.h>
#include <torch/library.h>

namespace pretended {

torch::Library* library = nullptr;

int install() {
  // The hooks object exists already, so it gets the methods of ours; neither has any fields.
  static Hooks hooks;
  static_assert(sizeof(Hooks) == sizeof(at::CUDAHooksInterface));
  std::memcpy(const_cast<at::CUDAHooksInterface*>(&at::detail::getCUDAHooks()), static_cast<void*>(&hooks),
              sizeof(void*));
  c10::impl::device_guard_impl_registry[static_cast<size_t>(c10::DeviceType::CUDA)].store(new Guard());
  c10::SetAllocator(c10::DeviceType::CUDA, &device_allocator, 100);

  library = new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::CUDA, __FILE__, __LINE__);
  int replaced = 0;
  std::unordered_set<std::string> done;
  auto replace = [&](const c10::OperatorName& full) {
    auto name = full.overload_name.empty() ? full.name.substr(6) : full.name.substr(6) + "." + full.overload_name;
    if (full.name.rfind("aten::", 0) != 0 || KEPT.count(name) || OWN.count(name) || !done.insert(name).second) return;
    if (!c10::Dispatcher::singleton().findSchema(full)) return;
    library->impl(name.c_str(), torch::CppFunction::makeFromBoxedFunction<&run>());
    ++replaced;
  };
  for (const auto& each : c10::Dispatcher::singleton().getRegistrationsForDispatchKey(c10::DispatchKey::CUDA))
    replace(each);
  for (const auto& each : ALSO) replace(c10::OperatorName("aten::" + each, ""));
  library->impl("empty.memory_format", TORCH_FN(empty));
  library->impl("empty_strided", TORCH_FN(empty_strided));
  library->impl("copy_", torch::CppFunction::makeFromBoxedFunction<&copy>());
  library->impl("_local_scalar_dense", TORCH_FN(item));
  library->impl("record_stream", TORCH_FN(record_stream));
  library->impl("_efficientzerotensor", TORCH_FN(zero_tensor));
  return replaced;
}

}  // namespace pretended

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  using namespace pretended;
  m.def("install", &install);
  m.def("set_lenient", [](std::vector<std::string> names) { lenient = {names.begin(), names.end()}; });
  m.def("set_observer", [](py::object call) {
    delete observer;
    observer = call.is_none() ? nullptr : new py::object(call);
  });
  m.def("set_tracing", [](bool on) { tracing = on; });
  m.def("set_tf32", [](bool on) { has_tf32 = on; });
  m.def("set_limit", [](int64_t bytes) { limit = bytes; });
  m.def("memory", [] { return std::make_tuple(live.load(), peak.load(), limit.load()); });
  m.def("reset_peak", [] { peak = live.load(); });
  m.def("take_counts", [] {
    std::lock_guard<std::mutex> lock(mutex);
    return std::exchange(counts, {});
  });
  m.def("replays", [] { return replayed.load(); });
  m.def("set_stream", [](int64_t id) { current_stream = id; });
  m.def("stream", [] { return current_stream; });
  m.def("is_captured", &is_captured);
  py::class_<Graph>(m, "Graph")
      .def(py::init<>())
      .def("begin", &begin_capture)
      .def("end", &end_capture)
      .def("replay", &replay, py::call_guard<py::gil_scoped_release>())
      .def("__len__", [](const Graph& graph) { return graph.work.size(); });
}
