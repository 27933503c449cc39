// Operators by what is special about them on CUDA.
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>

namespace pretended {

using Names = std::unordered_set<std::string>;

const Names INDEXING{
    "index.Tensor", "index.Tensor_out", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index.Tensor"};
const Names CONVOLUTIONS{"convolution", "convolution_backward", "convolution_overrideable"};
const Names MATRIX_PRODUCTS{"mm", "mm.out", "addmm", "addmm.out", "addmm_", "bmm", "bmm.out", "baddbmm", "baddbmm.out",
                            "baddbmm_", "addbmm", "_addmm_activation"};
// Without a kernel for whole numbers, beside the products of matrices.
const Names PRODUCTS{"mv", "addmv", "addmv.out", "addmv_", "dot", "vdot", "convolution"};

// The host waits: for the shape of the result, for a value, or for a check of the arguments or of the outcome.
const std::unordered_map<std::string, const char*> WAITS{
    {"nonzero", "shape"}, {"nonzero.out", "shape"}, {"masked_select", "shape"}, {"masked_select.out", "shape"},
    {"_unique", "shape"}, {"_unique2", "shape"}, {"unique_dim", "shape"}, {"unique_consecutive", "shape"},
    {"unique_dim_consecutive", "shape"}, {"bincount", "shape"}, {"equal", "download"},
    {"_linalg_eigh", "check"}, {"_linalg_eigh.eigenvalues", "check"}, {"linalg_eig", "check"},
    {"_linalg_svd", "check"}, {"_linalg_svd.U", "check"}, {"linalg_lstsq", "check"}, {"linalg_eigvals", "check"},
    {"multinomial", "check"}, {"normal.Tensor_Tensor", "check"}, {"normal.float_Tensor", "check"}};

// Sums in an order that changes from run to run, unless torch.use_deterministic_algorithms asks for another kernel.
const Names UNORDERED{
    "scatter_add", "scatter_add_", "scatter_add.out", "index_add", "index_add_", "index_add.out", "scatter_reduce.two",
    "scatter_reduce_.two", "cumsum", "cumsum_", "cumsum.out", "embedding_dense_backward", "convolution_backward"};

// The same, but there is no other kernel: where that is asked for, torch raises.
const Names ALWAYS_UNORDERED{
    "put_", "histc", "upsample_bilinear2d_backward", "upsample_bilinear2d_backward.grad_input",
    "upsample_bicubic2d_backward", "upsample_bicubic2d_backward.grad_input", "upsample_linear1d_backward",
    "_upsample_bilinear2d_aa_backward", "_upsample_bicubic2d_aa_backward", "upsample_trilinear3d_backward",
    "grid_sampler_2d_backward", "adaptive_avg_pool2d_backward", "_adaptive_avg_pool2d_backward",
    "adaptive_max_pool2d_backward", "reflection_pad2d_backward", "reflection_pad2d_backward.grad_input",
    "fractional_max_pool2d_backward", "_embedding_bag_dense_backward", "median.dim", "median.dim_values",
    "nll_loss2d_forward", "_ctc_loss_backward", "max_unpool2d"};

// The same, and torch does not know: nothing raises (max pooling of windows that overlap adds atomically).
const Names SILENTLY_UNORDERED{"max_pool2d_with_indices_backward", "max_pool2d_with_indices_backward.grad_input",
                               "kthvalue", "replication_pad2d_backward", "replication_pad2d_backward.grad_input"};

// Only how memory is read changes: torch's own kernels do, and no kernel is launched.
const Names KEPT{"as_strided", "view", "_reshape_alias", "unfold", "view_as_real", "view_as_complex", "view.dtype",
                 "set_.source_Storage", "set_.source_Storage_storage_offset", "set_.source_Tensor", "alias"};
const Names OWN{"empty.memory_format", "empty_strided", "copy_", "_local_scalar_dense", "record_stream",
                "_efficientzerotensor"};
// Composites that would choose cuDNN, or call a stub of the device.
const Names ALSO{"convolution", "convolution_backward", "_fused_sdp_choice"};

}  // namespace pretended
