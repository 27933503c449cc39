// Running an operator of the device: the CPU's kernel over the same memory, its outcome under the device's name.
#pragma once

#include "devices.h"
#include "generators.h"
#include "order.h"
#include "tf32.h"
#include "waits.h"

namespace pretended {

struct Pair {
  Tensor cpu, cuda;
  bool is_written;
};

// One call of an operator, translated to the CPU.
struct Call {
  std::vector<Pair> pairs;
  Stack stack;
  bool channels_last = false, takes_generator = false, has_own_generator = false, makes_tensors = false;
};

// oneDNN's backward pass in the order channels last writes past the end of its buffers, so convolutions get none.
Tensor operand(Call& call, const Tensor& tensor, bool convolves, bool rounds) {
  auto cpu = as_cpu(tensor);
  if (convolves && cpu.dim() == 4) {
    call.channels_last |= cpu.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
    cpu = cpu.contiguous();
  }
  return rounds ? as_tf32(cpu) : cpu;
}

IValue generator_for(Call& call, const IValue& value) {
  call.takes_generator = true;
  if (value.isNone()) return inner_of(default_generator());
  call.has_own_generator = true;
  TORCH_CHECK(value.toGenerator().device().type() == c10::DeviceType::CUDA,
              "Expected a 'cuda' device type for generator but found 'cpu'");
  return inner_of(value.toGenerator());
}

Call translate(const OperatorHandle& op, const std::string& name, const std::vector<IValue>& inputs) {
  Call call;
  call.stack.reserve(inputs.size());
  const bool convolves = CONVOLUTIONS.count(name), rounds = rounds_operands(name);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto& argument = op.schema().arguments()[i];
    const bool is_written = argument.alias_info() && argument.alias_info()->isWrite();
    auto value = over_tensors(inputs[i], [&](const Tensor& tensor) -> Tensor {
      if (!on_device(tensor)) return tensor;
      for (const auto& pair : call.pairs)
        if (pair.cuda.is_same(tensor)) return pair.cpu;
      call.pairs.push_back({operand(call, tensor, convolves, rounds && !is_written), tensor, is_written});
      return call.pairs.back().cpu;
    });
    if (value.isDevice()) {
      call.makes_tensors |= value.toDevice().type() == c10::DeviceType::CUDA;
      value = c10::Device(c10::DeviceType::CPU);
    }
    if (argument.name() == "pin_memory") value = IValue();
    if (argument.name() == "generator") value = generator_for(call, value);
    call.stack.push_back(std::move(value));
  }
  return call;
}

// An operator that draws and takes no generator draws from the device's, not from the CPU's.
void call_with_default_generator(const OperatorHandle& op, Stack& stack) {
  auto host = at::detail::getDefaultCPUGenerator();
  auto& inner = inner_of(default_generator());
  auto kept = host.get_state();
  host.set_state(inner.get_state());
  op.callBoxed(&stack);
  inner.set_state(host.get_state());
  host.set_state(kept);
}

void call_kernel(const OperatorHandle& op, Call& call) {
  at::AutoDispatchBelowADInplaceOrView below;
  c10::impl::ExcludeDispatchKeyGuard plain(
      c10::autocast_dispatch_keyset |
      c10::DispatchKeySet({c10::DispatchKey::Python, c10::DispatchKey::PythonTLSSnapshot}));
  if (!call.takes_generator && op.hasTag(at::Tag::nondeterministic_seeded)) {
    call_with_default_generator(op, call.stack);
  } else {
    op.callBoxed(&call.stack);
  }
}

// What an operator resized on the CPU is resized on the device.
void follow_sizes(const Pair& pair) {
  auto* target = pair.cuda.unsafeGetTensorImpl();
  if (pair.cpu.storage().data() != pair.cuda.storage().data()) {
    auto moved = as_cuda(pair.cpu);
    target->set_storage_keep_dtype(moved.storage());
    target->set_sizes_and_strides(moved.sizes(), moved.strides(), moved.storage_offset());
  } else if (pair.cpu.sizes() != pair.cuda.sizes() || pair.cpu.strides() != pair.cuda.strides()) {
    target->set_sizes_and_strides(pair.cpu.sizes(), pair.cpu.strides(), pair.cpu.storage_offset());
  }
}

Tensor outcome(const Call& call, Tensor tensor, bool convolves) {
  if (!tensor.defined()) return tensor;
  for (const auto& pair : call.pairs) {
    if (pair.cpu.is_same(tensor)) return pair.cuda;
    if (pair.cpu.storage().unsafeGetStorageImpl() == tensor.storage().unsafeGetStorageImpl()) {
      auto view = at::detail::make_tensor<c10::TensorImpl>(
          c10::Storage(pair.cuda.storage()), c10::DispatchKeySet(c10::DispatchKey::CUDA), tensor.dtype());
      view.unsafeGetTensorImpl()->set_sizes_and_strides(tensor.sizes(), tensor.strides(), tensor.storage_offset());
      return view;
    }
  }
  if (convolves && call.channels_last && tensor.dim() == 4)
    tensor = tensor.contiguous(at::MemoryFormat::ChannelsLast);
  return as_cuda(tensor);
}

std::vector<IValue> compute(const OperatorHandle& op, const std::vector<IValue>& inputs) {
  const auto name = name_of(op);
  auto call = translate(op, name, inputs);
  call_kernel(op, call);
  if (call.has_own_generator && call.pairs.empty() && !call.makes_tensors)
    TORCH_CHECK(false, "Expected a 'cpu' device type for generator but found 'cuda'");
  for (const auto& pair : call.pairs)
    if (pair.is_written) follow_sizes(pair);
  std::vector<IValue> outputs;
  for (const auto& value : call.stack)
    outputs.push_back(
        over_tensors(value, [&](const Tensor& tensor) { return outcome(call, tensor, CONVOLUTIONS.count(name)); }));
  return outputs;
}

// Running statistics are written to, although the schema does not say so.
bool is_written(const OperatorHandle& op, const std::string& name, size_t position) {
  const auto* alias = op.schema().arguments()[position].alias_info();
  return (alias && alias->isWrite()) || (name == "native_batch_norm" && (position == 3 || position == 4));
}

void run(const OperatorHandle& op, Stack* stack) {
  const auto name = name_of(op);
  const auto inputs = torch::jit::last(*stack, op.schema().arguments().size()).vec();
  check_kernel(name, inputs);
  check_devices(op, name, inputs);
  look_at_waits(name, inputs);
  look_at_order(name, inputs);
  count(name);
  if (is_captured()) {
    for (size_t i = 0; i < inputs.size(); ++i)
      if (is_written(op, name, i))
        each_tensor(inputs[i], [](const Tensor& tensor) { if (on_device(tensor)) remember_written(tensor); });
  }
  auto outputs = compute(op, inputs);
  if (is_captured()) capturing->work.push_back({op, inputs, outputs});
  torch::jit::drop(*stack, inputs.size());
  for (auto& value : outputs) stack->push_back(std::move(value));
}

}  // namespace pretended
