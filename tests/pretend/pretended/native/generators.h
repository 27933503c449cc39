// Generators: torch's generator of the CPU under the name of the device.
#pragma once

#include "graphs.h"

#include <ATen/CPUGeneratorImpl.h>

namespace pretended {

struct DeviceGenerator final : c10::GeneratorImpl {
  at::Generator inner;
  explicit DeviceGenerator(uint64_t seed = c10::default_rng_seed_val)
      : GeneratorImpl(CUDA, c10::DispatchKeySet(c10::DispatchKey::CUDA)), inner(at::detail::createCPUGenerator(seed)) {}
  static void alone() {
    if (!is_captured()) return;
    broken = true;
    TORCH_CHECK(false, "Cannot call CUDAGeneratorImpl::set_current_seed during CUDA graph capture");
  }
  void set_current_seed(uint64_t seed) override { alone(); inner.set_current_seed(seed); }
  void set_offset(uint64_t) override {}
  uint64_t get_offset() const override { return 0; }
  uint64_t current_seed() const override { return inner.current_seed(); }
  uint64_t seed() override { alone(); return inner.seed(); }
  void set_state(const c10::TensorImpl& state) override {
    alone();
    inner.unsafeGetGeneratorImpl()->set_state(state);
  }
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override {
    return inner.unsafeGetGeneratorImpl()->get_state();
  }
  GeneratorImpl* clone_impl() const override {
    auto* copy = new DeviceGenerator();
    copy->inner = inner.clone();
    return copy;
  }
};

at::Generator& default_generator() {
  static at::Generator generator = at::make_generator<DeviceGenerator>();
  return generator;
}

at::Generator& inner_of(const at::Generator& generator) {
  return static_cast<DeviceGenerator*>(generator.unsafeGetGeneratorImpl())->inner;
}

}  // namespace pretended
