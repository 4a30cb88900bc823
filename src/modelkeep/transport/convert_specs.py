"""Crossings of specs and of everything else that sealing freezes."""

from functools import partial

from modelkeep.domain import checks, errors, names, specs
from modelkeep.transport import convert
from modelkeep.v1 import registry_service_pb2 as pb
from modelkeep.v1 import spec_pb2

RELATIONS: dict[int, specs.BaseRelation] = {
    spec_pb2.BASE_RELATION_UNSPECIFIED: specs.BaseRelation.UNSPECIFIED,
    spec_pb2.BASE_RELATION_ADAPTER: specs.BaseRelation.ADAPTER,
    spec_pb2.BASE_RELATION_FINE_TUNE: specs.BaseRelation.FINE_TUNE,
    spec_pb2.BASE_RELATION_QUANTIZATION: specs.BaseRelation.QUANTIZATION,
    spec_pb2.BASE_RELATION_MERGE: specs.BaseRelation.MERGE,
    spec_pb2.BASE_RELATION_DISTILLATION: specs.BaseRelation.DISTILLATION,
}
ROLES: dict[int, specs.DatasetRole] = {
    spec_pb2.DATASET_ROLE_UNSPECIFIED: specs.DatasetRole.UNSPECIFIED,
    spec_pb2.DATASET_ROLE_TRAINING: specs.DatasetRole.TRAINING,
    spec_pb2.DATASET_ROLE_VALIDATION: specs.DatasetRole.VALIDATION,
    spec_pb2.DATASET_ROLE_TEST: specs.DatasetRole.TEST,
}
_NO_SOURCE = specs.Source()


def content_from_wire(version: pb.Version) -> specs.Content:
    """Spec, datasets, metrics and source of a version, or `errors.InvalidArgument`."""
    found = checks.Checks()
    spec = _spec_from_wire(found, version)
    datasets = found.make_each("datasets", (partial(_dataset, d) for d in version.datasets))
    metrics = found.make_each(
        "metrics", (partial(specs.Metric, m.name, m.value) for m in version.metrics)
    )
    source = found.make("source", partial(_source, version.source))
    return found.finish(lambda: specs.Content(spec, datasets, metrics, source))


def _spec_from_wire(found: checks.Checks, version: pb.Version) -> specs.Spec | None:
    which = version.WhichOneof("spec")
    if which == "model":
        return found.make("model", partial(_model_spec, version.model))
    if which == "prompt":
        return found.make("prompt", partial(_prompt_spec, version.prompt))
    return None


def _source(source: spec_pb2.Source) -> specs.Source:
    return specs.Source(source.repository, source.commit, source.run)


def _dataset(dataset: spec_pb2.DatasetReference) -> specs.DatasetReference:
    found = checks.Checks()
    role = found.make("role", partial(convert.enum_from_wire, dataset.role, ROLES))
    return found.finish(
        lambda: specs.DatasetReference(
            dataset.name, dataset.revision, dataset.digest, dataset.uri, role
        )
    )


def _model_spec(spec: spec_pb2.ModelSpec) -> specs.ModelSpec:
    found = checks.Checks()
    parameters = {
        name: found.make(f"parameters[{checks.shown(name)}]", partial(_scalar, value))
        for name, value in spec.parameters.items()
    }
    inputs = found.make_each("inputs", (partial(_tensor, t) for t in spec.inputs))
    outputs = found.make_each("outputs", (partial(_tensor, t) for t in spec.outputs))
    dependencies = found.make_each(
        "dependencies",
        (
            partial(specs.Dependency, d.ecosystem, d.name, d.version, d.digest)
            for d in spec.dependencies
        ),
    )
    base = found.make("base", partial(_base, spec.base)) if spec.HasField("base") else None
    return found.finish(
        lambda: specs.ModelSpec(
            framework=spec.framework,
            framework_version=spec.framework_version,
            task=spec.task,
            architecture=spec.architecture,
            parameters={k: v for k, v in parameters.items() if v is not None},
            inputs=inputs,
            outputs=outputs,
            dependencies=dependencies,
            base=base,
        )
    )


def _scalar(value: spec_pb2.Scalar) -> specs.Scalar:
    which = value.WhichOneof("kind")
    if which is None:
        raise errors.invalid("has no value; set one of its members")
    scalar: specs.Scalar = getattr(value, which)
    return scalar


def _tensor(tensor: spec_pb2.TensorSpec) -> specs.TensorSpec:
    return specs.TensorSpec(tensor.name, tensor.dtype, tuple(tensor.shape))


def _base(base: spec_pb2.BaseModel) -> specs.BaseModel:
    found = checks.Checks()
    relation = found.make("relation", partial(convert.enum_from_wire, base.relation, RELATIONS))
    if base.version:
        found.make("version", partial(names.VersionName.parse, base.version))
    return found.finish(lambda: specs.BaseModel(base.version, base.uri, relation))


def _prompt_spec(spec: spec_pb2.PromptSpec) -> specs.PromptSpec:
    found = checks.Checks()
    messages = found.make_each(
        "messages", (partial(specs.PromptMessage, m.role, m.content) for m in spec.messages)
    )
    tools = found.make_each(
        "tools",
        (partial(specs.PromptTool, t.name, t.description, t.parameters_schema) for t in spec.tools),
    )
    sampling = found.make("sampling", partial(_sampling, spec.sampling))
    return found.finish(
        lambda: specs.PromptSpec(
            provider=spec.provider,
            hosted_model=spec.hosted_model,
            messages=messages,
            variables=tuple(spec.variables),
            sampling=sampling,
            tools=tools,
            response_schema=spec.response_schema,
        )
    )


def _sampling(sampling: spec_pb2.SamplingParameters) -> specs.Sampling:
    return specs.Sampling(
        temperature=sampling.temperature if sampling.HasField("temperature") else None,
        top_p=sampling.top_p if sampling.HasField("top_p") else None,
        max_tokens=sampling.max_tokens if sampling.HasField("max_tokens") else None,
        stop=tuple(sampling.stop),
        seed=sampling.seed if sampling.HasField("seed") else None,
    )


def fill_content(version: pb.Version, content: specs.Content) -> None:
    """Set spec, datasets, metrics and source of a wire version."""
    if isinstance(content.spec, specs.ModelSpec):
        version.model.CopyFrom(_model_spec_to_wire(content.spec))
    elif isinstance(content.spec, specs.PromptSpec):
        version.prompt.CopyFrom(_prompt_spec_to_wire(content.spec))
    for metric in content.metrics:
        version.metrics.add(name=metric.name, value=metric.value)
    version.datasets.extend(map(dataset_to_wire, content.datasets))
    source = content.source
    if source != _NO_SOURCE:
        version.source.CopyFrom(
            spec_pb2.Source(repository=source.repository, commit=source.commit, run=source.run)
        )


def _model_spec_to_wire(spec: specs.ModelSpec) -> spec_pb2.ModelSpec:
    wire = spec_pb2.ModelSpec(
        framework=spec.framework,
        framework_version=spec.framework_version,
        task=spec.task,
        architecture=spec.architecture,
        inputs=map(tensor_to_wire, spec.inputs),
        outputs=map(tensor_to_wire, spec.outputs),
        dependencies=map(dependency_to_wire, spec.dependencies),
    )
    for name, value in spec.parameters.items():
        wire.parameters[name].CopyFrom(scalar_to_wire(value))
    if spec.base is not None:
        _fill_base(wire.base, spec.base)
    return wire


def _member(value: specs.Scalar) -> str:
    """Member of `Scalar` for a value; bool first, because in Python it is an int too."""
    for kind, member in (
        (bool, "bool_value"),
        (int, "int_value"),
        (float, "double_value"),
    ):
        if isinstance(value, kind):
            return member
    return "string_value"


def scalar_to_wire(value: specs.Scalar) -> spec_pb2.Scalar:
    """A typed value for the wire."""
    wire = spec_pb2.Scalar()
    setattr(wire, _member(value), value)
    return wire


def dependency_to_wire(dependency: specs.Dependency) -> spec_pb2.Dependency:
    """A dependency for the wire."""
    return spec_pb2.Dependency(
        ecosystem=dependency.ecosystem,
        name=dependency.name,
        version=dependency.version,
        digest=dependency.digest,
    )


def dataset_to_wire(dataset: specs.DatasetReference) -> spec_pb2.DatasetReference:
    """A dataset revision for the wire."""
    return spec_pb2.DatasetReference(
        name=dataset.name,
        revision=dataset.revision,
        digest=dataset.digest,
        uri=dataset.uri,
        role=convert.enum_to_wire(dataset.role, ROLES),  # type: ignore[arg-type]
    )


def tool_to_wire(tool: specs.PromptTool) -> spec_pb2.PromptTool:
    """A tool of a prompt for the wire."""
    return spec_pb2.PromptTool(
        name=tool.name, description=tool.description, parameters_schema=tool.parameters_schema
    )


def tensor_to_wire(tensor: specs.TensorSpec) -> spec_pb2.TensorSpec:
    """An input or output for the wire."""
    return spec_pb2.TensorSpec(name=tensor.name, dtype=tensor.dtype, shape=tensor.shape)


def _fill_base(wire: spec_pb2.BaseModel, base: specs.BaseModel) -> None:
    wire.relation = convert.enum_to_wire(base.relation, RELATIONS)  # type: ignore[assignment]
    if base.version:
        wire.version = base.version
    else:
        wire.uri = base.uri


def _prompt_spec_to_wire(spec: specs.PromptSpec) -> spec_pb2.PromptSpec:
    sampling = spec.sampling
    return spec_pb2.PromptSpec(
        provider=spec.provider,
        hosted_model=spec.hosted_model,
        messages=[spec_pb2.PromptMessage(role=m.role, content=m.content) for m in spec.messages],
        variables=spec.variables,
        sampling=spec_pb2.SamplingParameters(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            stop=sampling.stop,
            seed=sampling.seed,
        ),
        tools=map(tool_to_wire, spec.tools),
        response_schema=spec.response_schema,
    )
