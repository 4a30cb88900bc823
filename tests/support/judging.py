"""What tests of recommendations and regression checks share: figures, and asking for judgements."""

from typing import Any

from support import wire

from modelkeep.v1 import evaluation_service_pb2 as pb

HIGHER, LOWER = pb.METRIC_DIRECTION_HIGHER, pb.METRIC_DIRECTION_LOWER
DATASET = "satisfaction@2026-10"
Metric = pb.EvaluationMetric


def score(value: float, **fields: Any) -> Metric:
    """A score of 400 examples with a standard error of 0.01."""
    stated = {"direction": HIGHER, "sample_count": 400, "standard_error": 0.01} | fields
    return Metric(name=stated.pop("name", "score"), value=value, **stated)


def latency(value: float, **fields: Any) -> Metric:
    """A latency with an error of 5 ms."""
    stated = {"direction": LOWER, "unit": "ms", "standard_error": 5.0} | fields
    return score(value, name="latency", **stated)


def results(*metrics: Metric, **fields: Any) -> pb.Evaluation:
    """An evaluation on the dataset, by the judge."""
    name, _, revision = fields.pop("dataset", DATASET).partition("@")
    dataset = pb.EvaluationDataset(name=name, revision=revision)
    stated = {"suite": "satisfaction", "evaluator": "judge@1.4"} | fields
    return pb.Evaluation(metrics=metrics, dataset=dataset, **stated)


async def record(stubs: wire.Stubs, parent: str, *metrics: Metric, **fields: Any) -> None:
    """Record an evaluation of a version."""
    request = pb.RecordEvaluationRequest(parent=parent, evaluation=results(*metrics, **fields))
    await stubs.evaluations.RecordEvaluation(request)


async def plan(stubs: wire.Stubs, model: str, *guards: pb.MetricTolerance, **fields: Any) -> Any:
    """Have the model's versions judged by the score."""
    stated = {"metric": "score", "direction": HIGHER, "dataset": "satisfaction"} | fields
    wanted = pb.EvaluationPlan(name=f"{model}/evaluationPlan", guards=guards, **stated)
    answer = await stubs.evaluations.SetEvaluationPlan(pb.SetEvaluationPlanRequest(plan=wanted))
    return answer.plan


def ref(name: str) -> str:
    """`ns/m@1.0.0` of a version's name, `ns/m` of a model's."""
    parts = name.split("/")
    return f"{parts[1]}/{parts[3]}" + (f"@{parts[5]}" if len(parts) > 5 else "")


async def recommend(
    stubs: wire.Stubs, model: str, *candidates: str, **fields: Any
) -> pb.Recommendation:
    """Which version to promote."""
    request = pb.RecommendVersionRequest(
        parent=model,
        stage=fields.pop("stage", "production"),
        candidates=map(ref, candidates),
        **fields,
    )
    return (await stubs.evaluations.RecommendVersion(request)).recommendation


async def regress(
    stubs: wire.Stubs, tested: str, baseline: str, **fields: Any
) -> pb.RegressionReport:
    """Whether results are as good as the baseline's."""
    if "evaluation" not in fields:
        fields = {"dataset": DATASET} | fields
    request = pb.CheckRegressionRequest(ref=tested, baseline_ref=baseline, **fields)
    return (await stubs.evaluations.CheckRegression(request)).report
