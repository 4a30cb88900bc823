"""Which evaluations of versions compare with those of a baseline, or why none does."""

from collections.abc import Iterable, Sequence

from modelkeep.domain import evaluations

Found = Sequence[evaluations.Evaluation]


def suites_of(found: Found, wanted: str) -> list[str]:
    """The suites to compare by: the one that is wanted, or all there are."""
    return [wanted] if wanted else sorted({one.suite for one in found})


def baseline_of(found: Found, suite: str, revision: str) -> evaluations.Evaluation | None:
    """The baseline's last run of a suite, on the revision that is wanted, if one is."""
    fitting = [one for one in found if one.suite == suite]
    if revision:
        fitting = [one for one in fitting if one.dataset.revision == revision]
    return _latest(fitting)


def match(
    found: Found,
    baseline: evaluations.Evaluation | evaluations.Report,
    owner: str = "the baseline's",
) -> tuple[evaluations.Evaluation | None, str]:
    """The last run that compares with the baseline's, or the reason why none does.

    Args:
        found: the runs to choose from.
        baseline: what they are to compare with.
        owner: whose that is, for the reason.
    """
    suite = [one for one in found if one.suite == baseline.suite]
    if not suite:
        others = ", ".join(sorted({one.suite for one in found}))
        has = f"; it has {others}" if others else ""
        return None, f"no evaluation on {baseline.dataset.name} by suite {baseline.suite!r}{has}"
    revision = [one for one in suite if one.dataset.revision == baseline.dataset.revision]
    if not revision:
        has = _listed(one.dataset.revision for one in suite)
        return None, f"dataset revision is {has}, {owner} {baseline.dataset.revision}"
    evaluator = [one for one in revision if one.evaluator == baseline.evaluator]
    if not evaluator:
        has = _listed(one.evaluator for one in revision)
        return None, f"evaluator is {has}, {owner} {baseline.evaluator}"
    digest = baseline.dataset.digest
    same = [one for one in evaluator if not digest or one.dataset.digest in {"", digest}]
    if not same:
        return None, "digest of the dataset differs, though the revision is the same"
    return _latest(same), ""


def nothing_found(found: Found, dataset: str, revision: str, suite: str) -> str:
    """Why a baseline has nothing to compare with."""
    wanted = f"{dataset}@{revision}" if revision else dataset
    by = f" by suite {suite}" if suite else ""
    has = sorted({f"{one.dataset} by {one.suite}" for one in found})
    return f"no evaluation on {wanted}{by}" + (f"; it has {', '.join(has)}" if has else "")


def _listed(words: Iterable[str]) -> str:
    return " or ".join(sorted(set(words)))


def _latest(found: Found) -> evaluations.Evaluation | None:
    return max(found, key=lambda one: (one.run_at, one.created_at), default=None)
