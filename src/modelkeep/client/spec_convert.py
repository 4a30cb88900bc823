"""Crossings of specs, datasets, metrics and sources between the wire and the SDK."""

from collections.abc import Mapping

from modelkeep.client import specs
from modelkeep.v1 import registry_service_pb2 as registry_pb
from modelkeep.v1 import spec_pb2 as pb


def scalar_to_wire(value: specs.Scalar) -> pb.Scalar:
    """A typed value; bool before int, because Python's bool is an int."""
    match value:
        case bool():
            return pb.Scalar(bool_value=value)
        case int():
            return pb.Scalar(int_value=value)
        case float():
            return pb.Scalar(double_value=value)
        case str():
            return pb.Scalar(string_value=value)


def scalar_from_wire(wire: pb.Scalar) -> specs.Scalar:
    """The Python value of a scalar; an empty text if a newer server sent a kind we do not know."""
    member = wire.WhichOneof("kind")
    value: specs.Scalar = getattr(wire, member) if member else ""
    return value


def source_to_wire(source: specs.Source) -> pb.Source:
    """Where the code is."""
    return pb.Source(repository=source.repository, commit=source.commit, run=source.run)


def source_from_wire(wire: pb.Source) -> specs.Source:
    """Where the code is."""
    return specs.Source(repository=wire.repository, commit=wire.commit, run=wire.run)


def metric_to_wire(name: str, value: float) -> pb.Metric:
    """One reported figure."""
    return pb.Metric(name=name, value=value)


def dataset_to_wire(dataset: specs.Dataset) -> pb.DatasetReference:
    """One dataset revision."""
    return pb.DatasetReference(
        name=dataset.name,
        revision=dataset.revision,
        digest=dataset.digest,
        uri=dataset.uri,
        role=pb.DatasetRole.Value(f"DATASET_ROLE_{dataset.role.upper()}"),
    )


def dataset_from_wire(wire: pb.DatasetReference) -> specs.Dataset:
    """One dataset revision."""
    roles = dict(enumerate(specs.DatasetRole))
    role = roles.get(wire.role, specs.DatasetRole.UNSPECIFIED)
    return specs.Dataset(wire.name, wire.revision, wire.digest, wire.uri, role)


def put_spec(spec: specs.ModelSpec | specs.PromptSpec, version: registry_pb.Version) -> None:
    """Set the spec of a version message."""
    if isinstance(spec, specs.PromptSpec):
        version.prompt.CopyFrom(_prompt_to_wire(spec))
    else:
        version.model.CopyFrom(_model_to_wire(spec))


def spec_from_wire(version: registry_pb.Version) -> specs.ModelSpec | specs.PromptSpec | None:
    """The spec of a version message, or None if it carries none."""
    match version.WhichOneof("spec"):
        case "model":
            return _model_from_wire(version.model)
        case "prompt":
            return _prompt_from_wire(version.prompt)
        case _:
            return None


def _model_to_wire(spec: specs.ModelSpec) -> pb.ModelSpec:
    return pb.ModelSpec(
        framework=spec.framework,
        framework_version=spec.framework_version,
        task=spec.task,
        architecture=spec.architecture,
        parameters=_parameters_to_wire(spec.parameters),
        inputs=[_tensor_to_wire(tensor) for tensor in spec.inputs],
        outputs=[_tensor_to_wire(tensor) for tensor in spec.outputs],
        dependencies=[_dependency_to_wire(dependency) for dependency in spec.dependencies],
        base=_base_to_wire(spec.base) if spec.base else None,
    )


def _model_from_wire(wire: pb.ModelSpec) -> specs.ModelSpec:
    return specs.ModelSpec(
        framework=wire.framework,
        framework_version=wire.framework_version,
        task=wire.task,
        architecture=wire.architecture,
        parameters={name: scalar_from_wire(wire.parameters[name]) for name in wire.parameters},
        inputs=tuple(tensor_from_wire(tensor) for tensor in wire.inputs),
        outputs=tuple(tensor_from_wire(tensor) for tensor in wire.outputs),
        dependencies=tuple(dependency_from_wire(item) for item in wire.dependencies),
        base=_base_from_wire(wire.base) if wire.HasField("base") else None,
    )


def _parameters_to_wire(parameters: Mapping[str, specs.Scalar]) -> dict[str, pb.Scalar]:
    return {name: scalar_to_wire(value) for name, value in parameters.items()}


def _tensor_to_wire(tensor: specs.TensorSpec) -> pb.TensorSpec:
    return pb.TensorSpec(name=tensor.name, dtype=tensor.dtype, shape=tensor.shape)


def tensor_from_wire(wire: pb.TensorSpec) -> specs.TensorSpec:
    """An input or output."""
    return specs.TensorSpec(wire.name, wire.dtype, tuple(wire.shape))


def _dependency_to_wire(dependency: specs.Dependency) -> pb.Dependency:
    return pb.Dependency(
        ecosystem=dependency.ecosystem,
        name=dependency.name,
        version=dependency.version,
        digest=dependency.digest,
    )


def dependency_from_wire(wire: pb.Dependency) -> specs.Dependency:
    """Something a model needs."""
    return specs.Dependency(wire.ecosystem, wire.name, wire.version, wire.digest)


def _base_to_wire(base: specs.BaseModel) -> pb.BaseModel:
    relation = pb.BaseRelation.Value(f"BASE_RELATION_{base.relation.upper()}")
    if base.version:
        return pb.BaseModel(version=base.version, relation=relation)
    return pb.BaseModel(uri=base.uri, relation=relation)


def _base_from_wire(wire: pb.BaseModel) -> specs.BaseModel:
    relations = dict(enumerate(specs.BaseRelation))
    relation = relations.get(wire.relation, specs.BaseRelation.UNSPECIFIED)
    return specs.BaseModel(wire.version, wire.uri, relation)


def _prompt_to_wire(spec: specs.PromptSpec) -> pb.PromptSpec:
    return pb.PromptSpec(
        provider=spec.provider,
        hosted_model=spec.hosted_model,
        messages=[pb.PromptMessage(role=m.role, content=m.content) for m in spec.messages],
        variables=spec.variables,
        sampling=_sampling_to_wire(spec.sampling),
        tools=[_tool_to_wire(tool) for tool in spec.tools],
        response_schema=spec.response_schema,
    )


def _prompt_from_wire(wire: pb.PromptSpec) -> specs.PromptSpec:
    return specs.PromptSpec(
        provider=wire.provider,
        hosted_model=wire.hosted_model,
        messages=tuple(specs.PromptMessage(m.role, m.content) for m in wire.messages),
        variables=tuple(wire.variables),
        sampling=_sampling_from_wire(wire.sampling),
        tools=tuple(tool_from_wire(tool) for tool in wire.tools),
        response_schema=wire.response_schema,
    )


def tool_from_wire(wire: pb.PromptTool) -> specs.PromptTool:
    """A tool of a prompt."""
    return specs.PromptTool(wire.name, wire.description, wire.parameters_schema)


def _tool_to_wire(tool: specs.PromptTool) -> pb.PromptTool:
    return pb.PromptTool(
        name=tool.name,
        description=tool.description,
        parameters_schema=tool.parameters_schema,
    )


def _sampling_to_wire(sampling: specs.Sampling) -> pb.SamplingParameters:
    return pb.SamplingParameters(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_tokens=sampling.max_tokens,
        stop=sampling.stop,
        seed=sampling.seed,
    )


def _sampling_from_wire(wire: pb.SamplingParameters) -> specs.Sampling:
    return specs.Sampling(
        temperature=wire.temperature if wire.HasField("temperature") else None,
        top_p=wire.top_p if wire.HasField("top_p") else None,
        max_tokens=wire.max_tokens if wire.HasField("max_tokens") else None,
        stop=tuple(wire.stop),
        seed=wire.seed if wire.HasField("seed") else None,
    )
