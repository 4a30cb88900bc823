"""Models in ONNX files, read field by field.

Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from dataclasses import dataclass, field

from modelkeep.domain.formats import facts, numbers, source, wire

FORMAT = "onnx"
MAX_NAMES = 10_000
"""Most names of inputs kept while reading."""
_HIGHEST_IR = 64
_IR_TAG = 0x08
_SECOND_TAGS = frozenset(b"\x12\x1a\x22\x28\x32\x3a\x42\x72")
_DEPTH = 16
_FLOATS = frozenset({1, 10, 11, 14, 15, 16, 17, 18, 19, 20, 23, 24})
_EXTERNAL = 1
_DTYPES_TEXT = """
UNDEFINED FLOAT UINT8 INT8 UINT16 INT16 INT32 INT64 STRING BOOL FLOAT16 DOUBLE UINT32 UINT64
COMPLEX64 COMPLEX128 BFLOAT16 FLOAT8E4M3FN FLOAT8E4M3FNUZ FLOAT8E5M2 FLOAT8E5M2FNUZ UINT4 INT4
FLOAT4E2M1 FLOAT8E8M0
"""
_DTYPES = _DTYPES_TEXT.split()
_QUANTISED_TEXT = """
ConvInteger DequantizeLinear DynamicQuantizeLinear DynamicQuantizeLSTM MatMulInteger MatMulNBits
MatMulBnb4 QGemm QLinearConv QLinearMatMul QuantizeLinear
"""
_QUANTISED = frozenset(_QUANTISED_TEXT.split())
"""Operators that only quantised models have."""


def looks_like(head: bytes) -> bool:
    """Whether a file may be ONNX, which has no magic number: it begins with its IR version."""
    begins = len(head) > len("tvt") and head[0] == _IR_TAG and head[2] in _SECOND_TAGS
    return begins and 0 < head[1] <= _HIGHEST_IR


def read(content: source.Source) -> facts.Facts:
    """Facts of the model, or no facts if it is another kind of message.

    Raises `source.Malformed`, `source.Cut`.
    """
    model = _Model(wire.Reader(content))
    try:
        model.read()
    except source.Malformed:
        if model.graphs or model.opsets:
            raise
        return facts.Facts()
    return model.facts() if model.is_onnx else facts.Facts()


@dataclass(frozen=True, slots=True)
class _Tensor:
    shape: list[int]
    dtype: int
    external: bool


@dataclass(slots=True)
class _Model:
    reader: wire.Reader
    opsets: dict[str, int] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    graphs: int = 0
    tensors: int = 0
    parameters: int = 0
    external: bool = False
    dtypes: set[str] = field(default_factory=set)
    operators: set[str] = field(default_factory=set)
    initialized: set[str] = field(default_factory=set)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    @property
    def is_onnx(self) -> bool:
        """Whether a graph and an operator set were found; other messages have neither there."""
        return bool(self.graphs and self.opsets)

    def facts(self) -> facts.Facts:
        inputs = [name for name in self.inputs if name not in self.initialized]
        return facts.Facts(
            format=FORMAT,
            tensor_count=self.tensors,
            parameter_count=numbers.total([self.parameters]),
            dtypes=tuple(sorted(self.dtypes)),
            quantisation=", ".join(sorted(self.operators)),
            opset=self.opsets.get("", self.opsets.get("ai.onnx")),
            external=self.external,
            inputs=tuple(inputs[: numbers.ENTRIES]),
            outputs=tuple(self.outputs[: numbers.ENTRIES]),
            metadata=numbers.shortened(self.metadata),
        )

    def read(self) -> None:
        for entry in self.reader.fields(self.reader.end):
            match entry.number, entry.kind:
                case 1, wire.VARINT:
                    self.metadata["ir_version"] = str(entry.value)
                case 2, wire.LEN:
                    self.metadata["producer"] = self.reader.text(entry)
                case 3, wire.LEN:
                    self.metadata["producer_version"] = self.reader.text(entry)
                case 7, wire.LEN:
                    self._graph(entry.end, _DEPTH)
                case 8, wire.LEN:
                    self._opset(entry.end)

    def _opset(self, end: int) -> None:
        domain, version = "", 0
        for entry in self.reader.fields(end):
            if entry.number == 1 and entry.kind == wire.LEN:
                domain = self.reader.text(entry)
            elif entry.number == 2 and entry.kind == wire.VARINT:  # noqa: PLR2004 - field number
                version = entry.value
        if len(self.opsets) < numbers.ENTRIES:
            self.opsets[domain] = min(version, numbers.MAX)

    def _graph(self, end: int, depth: int) -> None:
        """A graph; those within its nodes too, but only the outermost has inputs and outputs."""
        if not depth:
            raise source.Cut(f"its graphs are more than {_DEPTH} deep")
        self.graphs += 1
        outermost = depth == _DEPTH
        for entry in self.reader.fields(end):
            match entry.number, entry.kind:
                case 1, wire.LEN:
                    self._node(entry.end, depth)
                case 5, wire.LEN:
                    self._count(self._tensor(entry.end))
                case 11, wire.LEN if outermost:
                    self._name(entry.end, self.inputs)
                case 12, wire.LEN if outermost:
                    self._name(entry.end, self.outputs)

    def _node(self, end: int, depth: int) -> None:
        for entry in self.reader.fields(end):
            match entry.number, entry.kind:
                case 4, wire.LEN:
                    self.operators |= {self.reader.text(entry)} & _QUANTISED
                case 5, wire.LEN:
                    self._attribute(entry.end, depth)

    def _attribute(self, end: int, depth: int) -> None:
        for entry in self.reader.fields(end):
            match entry.number, entry.kind:
                case 5, wire.LEN:
                    tensor = self._tensor(entry.end)
                    if tensor.shape and tensor.dtype in _FLOATS:
                        self._count(tensor)
                case ((6 | 11), wire.LEN):
                    self._graph(entry.end, depth - 1)

    def _name(self, end: int, names: list[str]) -> None:
        for entry in self.reader.fields(end):
            if entry.number == 1 and entry.kind == wire.LEN and len(names) < MAX_NAMES:
                names.append(self.reader.text(entry))

    def _count(self, tensor: "_Tensor") -> None:
        """Count a tensor that the model holds.

        Those are the initializers and, because some exporters write weights as constants, the
        constants of floating point that are no scalars.
        """
        self.tensors += 1
        self.parameters += numbers.product(tensor.shape)
        self.external |= tensor.external
        self.dtypes.add(_dtype(tensor.dtype))

    def _tensor(self, end: int) -> "_Tensor":
        shape: list[int] = []
        dtype, external = 0, False
        for entry in self.reader.fields(end):
            match entry.number, entry.kind:
                case 1, wire.VARINT | wire.LEN:
                    self._dimensions(entry, shape)
                case 2, wire.VARINT:
                    dtype = entry.value
                case 8, wire.LEN if len(self.initialized) < MAX_NAMES:
                    self.initialized.add(self.reader.text(entry))
                case 14, wire.VARINT:
                    external = entry.value == _EXTERNAL
        return _Tensor(shape, dtype, external)

    def _dimensions(self, entry: wire.Field, shape: list[int]) -> None:
        for size in self.reader.varints(entry):
            shape.append(size)
            numbers.product(shape)  # refuses a shape that is too long while it grows


def _dtype(number: int) -> str:
    return _DTYPES[number] if number < len(_DTYPES) else f"type {min(number, numbers.MAX)}"
