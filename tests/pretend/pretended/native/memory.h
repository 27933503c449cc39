// The device's memory: host memory under its name, counted, limited, and filled with NaN.
// Pinned memory of the host beside it.
#pragma once

#include "seen.h"

#include <cstdlib>
#include <cstring>

namespace pretended {

std::atomic<int64_t> live{0}, peak{0}, limit{INT64_MAX};

void take(int64_t bytes) {
  if (live + bytes > limit) {
    TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory. Tried to allocate ", bytes, " bytes. (pretend: ",
                     live.load(), " of ", limit.load(), " bytes are in use)");
  }
  live += bytes;
  int64_t seen = peak, now = live;
  while (now > seen && !peak.compare_exchange_weak(seen, now)) {}
}

int64_t rounded(size_t bytes) { return (static_cast<int64_t>(bytes) + 511) / 512 * 512; }

struct Block {
  void* memory;
  int64_t bytes;
  Tensor keeps;
};

void release(void* context) {
  auto* block = static_cast<Block*>(context);
  live -= block->bytes;
  if (!block->keeps.defined()) std::free(block->memory);
  delete block;
}

struct DeviceAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &release_nothing, CUDA};
    take(rounded(bytes));
    void* memory = nullptr;
    TORCH_CHECK(posix_memalign(&memory, 512, rounded(bytes)) == 0, "no host memory");
    std::memset(memory, 0xFF, rounded(bytes));
    return {memory, new Block{memory, rounded(bytes), {}}, &release, CUDA};
  }
  static void release_nothing(void*) {}
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { std::memcpy(to, from, bytes); }
} device_allocator;

std::mutex pinned_mutex;
std::unordered_map<void*, size_t> pinned;

struct PinnedAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* memory = nullptr;
    TORCH_CHECK(posix_memalign(&memory, 512, rounded(bytes + 1)) == 0, "no host memory");
    std::lock_guard<std::mutex> lock(pinned_mutex);
    pinned[memory] = bytes;
    return {memory, memory, &release_pinned, c10::Device(c10::DeviceType::CPU)};
  }
  static void release_pinned(void* memory) {
    {
      std::lock_guard<std::mutex> lock(pinned_mutex);
      pinned.erase(memory);
    }
    std::free(memory);
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release_pinned; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { std::memcpy(to, from, bytes); }
} pinned_allocator;

bool is_pinned(const void* pointer) {
  std::lock_guard<std::mutex> lock(pinned_mutex);
  for (const auto& [start, bytes] : pinned)
    if (pointer >= start && pointer < static_cast<const char*>(start) + bytes) return true;
  return false;
}

}  // namespace pretended
