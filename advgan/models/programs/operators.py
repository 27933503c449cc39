"""The operators that an exported program may call: pure functions of tensors and numbers.

A list of what is allowed, so an operator that nobody has thought of is refused. None of them reads or writes anything
but its tensors, runs other code, or loops.
"""

import re
from functools import cache
from typing import Any

import torch

_ATEN = frozenset(
    # Point by point
    """
    abs acos acosh add addcdiv addcmul angle asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_not
    bitwise_or bitwise_right_shift bitwise_xor ceil celu clamp clamp_max clamp_min clip complex conj copysign cos cosh
    deg2rad div divide elu eq erf erfc erfinv exp exp2 expm1 float_power floor floor_divide fmax fmin fmod frac ge gelu
    glu greater greater_equal gt hardshrink hardsigmoid hardswish hardtanh heaviside hypot imag isclose isfinite isinf
    isnan le leaky_relu lerp less less_equal lgamma log log10 log1p log2 log_sigmoid logaddexp logaddexp2 logical_and
    logical_not logical_or logical_xor logit lt maximum minimum mish mul multiply nan_to_num ne neg negative not_equal
    polar positive pow prelu _prelu_kernel rad2deg real reciprocal relu relu6 remainder round rrelu rsqrt rsub selu sgn
    sigmoid sign signbit silu sin sinc sinh softplus softshrink sqrt square sub subtract tan tanh threshold true_divide
    trunc fix where xlogy special_erf special_exp2 special_expit special_expm1 special_log1p special_softmax
    special_log_softmax special_logit special_sinc special_xlog1py special_xlogy digamma log_sigmoid_forward
    """.split()  # noqa: SIM905 (a list of words reads better than a list of strings)
    # Sums and choices
    + """
    all amax amin aminmax any argmax argmin argsort bincount bucketize count_nonzero cummax cummin cumprod cumsum diff
    kthvalue logcumsumexp logsumexp max mean median min mode msort nanmean nansum norm prod quantile searchsorted sort
    std std_mean sum sum_to_size topk var var_mean histc softmax _softmax log_softmax _log_softmax
    """.split()  # noqa: SIM905
    # Matrices and frequencies
    + """
    addbmm addmm addmv addr baddbmm bilinear bmm cdist chain_matmul cosine_similarity cross dot einsum inner kron linear
    matmul mm mv outer ger pairwise_distance tensordot trace vdot linalg_cross linalg_det linalg_inv linalg_matmul
    linalg_matrix_norm linalg_norm linalg_vecdot linalg_vector_norm inverse fft_fft fft_fft2 fft_fftn fft_fftshift
    fft_ifft fft_ifft2 fft_ifftn fft_ifftshift fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftn
    """.split()  # noqa: SIM905
    # Layers
    + """
    _native_batch_norm_legit _native_batch_norm_legit_no_training batch_norm native_batch_norm group_norm instance_norm
    layer_norm native_group_norm native_layer_norm rms_norm _fused_rms_norm local_response_norm _weight_norm
    _weight_norm_interface alpha_dropout dropout feature_alpha_dropout feature_dropout native_dropout conv1d conv2d
    conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution _convolution embedding embedding_bag one_hot
    lstm gru rnn_relu rnn_tanh lstm_cell gru_cell scaled_dot_product_attention
    _scaled_dot_product_flash_attention_for_cpu _native_multi_head_attention _transformer_encoder_layer_fwd
    _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d avg_pool1d avg_pool2d avg_pool3d max_pool1d max_pool2d
    max_pool3d max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices grid_sampler grid_sampler_2d
    grid_sampler_3d affine_grid_generator channel_shuffle pixel_shuffle pixel_unshuffle col2im im2col
    _upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d
    upsample_nearest2d upsample_nearest3d upsample_trilinear3d constant_pad_nd pad reflection_pad1d reflection_pad2d
    reflection_pad3d replication_pad1d replication_pad2d replication_pad3d
    """.split()  # noqa: SIM905
    # Shapes and places
    + """
    alias as_strided atleast_1d atleast_2d atleast_3d broadcast_tensors broadcast_to cat chunk clone column_stack concat
    concatenate contiguous copy detach diag diag_embed diagonal dsplit dstack expand expand_as flatten flip fliplr
    flipud gather hsplit hstack index index_add index_copy index_fill index_put index_select lift_fresh lift_fresh_copy
    masked_fill masked_scatter masked_select matrix_H mH mT meshgrid movedim moveaxis narrow nonzero numpy_T permute
    ravel repeat repeat_interleave reshape reshape_as resolve_conj resolve_neg roll rot90 scatter scatter_add
    scatter_reduce select select_scatter slice slice_scatter split split_with_sizes squeeze stack swapaxes swapdims t
    take take_along_dim tensor_split tile transpose tril triu unbind unflatten unfold unsafe_chunk unsafe_split
    unsafe_split_with_sizes unsqueeze view _unsafe_view view_as view_as_complex view_as_real vsplit vstack
    """.split()  # noqa: SIM905
    # Types, new tensors, noise, questions
    + """
    to _to_copy type_as arange eye fill full full_like linspace logspace new_full new_ones new_zeros ones ones_like
    scalar_tensor tril_indices triu_indices zero zeros zeros_like bernoulli rand rand_like randint randint_like randn
    randn_like randperm item _local_scalar_dense numel sym_is_contiguous sym_numel sym_size sym_storage_offset
    sym_stride _assert_async _assert_scalar _assert_tensor_metadata sym_constrain_range sym_constrain_range_for_size
    """.split()  # noqa: SIM905
)
_OTHERS = frozenset(
    """
    prims.convert_element_type.default prims.view_of.default higher_order.wrap_with_set_grad_enabled
    quantized_decomposed.quantize_per_tensor.default quantized_decomposed.quantize_per_tensor.tensor
    quantized_decomposed.dequantize_per_tensor.default quantized_decomposed.dequantize_per_tensor.tensor
    quantized_decomposed.quantize_per_channel.default quantized_decomposed.dequantize_per_channel.default
    quantized_decomposed.choose_qparams.tensor quantized_decomposed.choose_qparams_symmetric.tensor
    """.split()  # noqa: SIM905
)
_OF_NUMBERS = frozenset(
    [f"_operator.{name}" for name in ("getitem", "add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "pos")]
    + [f"_operator.{name}" for name in ("eq", "ne", "lt", "le", "gt", "ge", "and_", "or_", "not_")]
    + [f"math.{name}" for name in ("ceil", "floor", "trunc", "sqrt")]
    + [f"torch.sym_{name}" for name in ("float", "int", "ite", "max", "min", "not", "sqrt", "sum")]
)
"""Of the sizes of tensors. No powers: one of a few characters takes all the memory there is."""
_NAME = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)")
WORDS = frozenset(
    """
    none tanh floor trunc constant reflect replicate circular ij xy sum prod mean amax amin linear lower higher midpoint
    nearest left right forward backward ortho fro nuc
    """.split()  # noqa: SIM905
)
"""The texts that operators may be given: ways of rounding, padding, approximating and the like."""
_GIVEN_WORDS = frozenset(
    ["approximate", "rounding_mode", "mode", "indexing", "equation", "reduce", "interpolation", "norm", "side", "ord"]
)
"""The arguments that may be text."""
_MESSAGES = frozenset(["_assert_async", "_assert_scalar"])
"""Operators with a text that is only shown; whoever passes on the program replaces it."""
_NEVER = re.compile(r"\b(Generator|Storage|Stream|QScheme|__torch__)\b")
_EQUATION = re.compile(r"[A-Za-z.,> -]{1,200}")


def is_allowed(target: str) -> bool:
    """Whether a program may call what it names so."""
    if target in _OF_NUMBERS or target.removeprefix("torch.ops.") in _OTHERS:
        return True
    parts = _NAME.fullmatch(target)
    if parts is None:
        return False
    name, overload = parts.groups()
    return (name in _ATEN or name.removesuffix("_") in _ATEN) and _is_pure(name, overload)


def is_message(target: str) -> bool:
    """Whether an operator only shows the text that it is given."""
    parts = _NAME.fullmatch(target)
    return parts is not None and parts.group(1) in _MESSAGES


def is_word(text: str) -> bool:
    """Whether a text may be given to an operator: one of a few words, or the equation of an einsum."""
    return text in WORDS or (_EQUATION.fullmatch(text) is not None and "," in text + text.replace("->", ","))


@cache
def _is_pure(name: str, overload: str) -> bool:
    """Whether torch has this operator, and says that it writes no other tensor and is given no source of anything."""
    schema: Any = getattr(getattr(getattr(torch.ops.aten, name, None), overload, None), "_schema", None)
    if schema is None:
        return False
    return not any(
        argument.is_out
        or _NEVER.search(str(argument.real_type))
        or ("str" in str(argument.real_type) and name not in _MESSAGES and argument.name not in _GIVEN_WORDS)
        for argument in schema.arguments
    )
