"""The numbers that GGUF gives to tensor types and to ways of quantising.

From `ggml_type` in ggml.h and `llama_ftype` in llama.h.
"""

_TENSOR_NAMES = {
    0: "F32 F16 Q4_0 Q4_1",
    6: "Q5_0 Q5_1 Q8_0 Q8_1 Q2_K Q3_K Q4_K Q5_K Q6_K Q8_K IQ2_XXS IQ2_XS IQ3_XXS IQ1_S IQ4_NL "
    "IQ3_S IQ2_S IQ4_XS I8 I16 I32 I64 F64 IQ1_M BF16",
    34: "TQ1_0 TQ2_0",
    39: "MXFP4",
}
_FILE_NAMES = {
    0: "F32 F16 Q4_0 Q4_1",
    7: "Q8_0 Q5_0 Q5_1 Q2_K Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S Q5_K_M Q6_K IQ2_XXS IQ2_XS "
    "Q2_K_S IQ3_XS IQ3_XXS IQ1_S IQ4_NL IQ3_S IQ3_M IQ2_S IQ2_M IQ4_XS IQ1_M BF16",
    36: "TQ1_0 TQ2_0 MXFP4_MOE",
}


def _numbered(names: dict[int, str]) -> dict[int, str]:
    return {first + n: name for first, row in names.items() for n, name in enumerate(row.split())}


TENSOR_TYPES = _numbered(_TENSOR_NAMES)
FILE_TYPES = _numbered(_FILE_NAMES)
