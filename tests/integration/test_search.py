"""A search answers what plain Python would, whatever its filter, order and pages."""

import contextlib
from typing import Any

import hypothesis
import pytest
from support import searching, services, uploading

from modelkeep.domain import errors, filter_typing, filters, names, pages
from modelkeep.service import searching as search_service
from modelkeep.storage import database, search_leads
from modelkeep.transport import filter_text

_SETTINGS = hypothesis.settings(
    suppress_health_check=[
        hypothesis.HealthCheck.function_scoped_fixture,
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.filter_too_much,
    ],
    max_examples=200,
)
MODEL = names.ModelName("acme", "m1")
COUNT = 300


@pytest.fixture
async def corpus(db: database.Database) -> searching.Corpus:
    return await searching.make_corpus(db, COUNT)


async def found(
    db: database.Database,
    condition: filters.Condition,
    order: filters.Order | None = None,
    *,
    parent: Any = searching.NAMESPACE,
    size: int = 1000,
) -> list[str]:
    """Names of all that fit, page by page."""
    service = search_service.Searching(db)
    wanted = filters.Search(condition, order or filters.Order())
    names_found: list[str] = []
    after = ""
    while True:
        request = pages.PageRequest(size, after)
        page = await service.search(uploading.CALLER, parent, wanted, request)
        assert len(page.entries) <= size
        names_found += [str(version.name) for _, version in page.entries]
        if not page.more:
            return names_found
        assert len(page.entries) == size
        after = page.entries[-1][0]


@pytest.mark.slow
@pytest.mark.timeout(600)
@_SETTINGS
@hypothesis.given(searching.FILTERS, hypothesis.strategies.sampled_from([0, 40, 2000]))
async def test_a_search_finds_what_plain_python_finds(
    db: database.Database, corpus: searching.Corpus, text: str, few: int
) -> None:
    with contextlib.suppress(errors.InvalidArgument):  # more than 32 conditions
        condition = filter_text.parse(text)
        expected = [one.name for one in reversed(corpus) if searching.fits(condition, one)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(search_leads, "FEW", few)  # walk, be led, and either
            assert await found(db, condition) == expected


ORDERS = ["create_time", "update_time", "finalize_time", "size", "metrics.accuracy", "metrics.none"]
ORDERS += ["version", "ordinal", ""]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["asc", "desc"])
async def test_every_order_has_its_pages_ties_and_absences(
    db: database.Database, corpus: searching.Corpus, way: str
) -> None:
    for field in ORDERS:
        for parent in [searching.NAMESPACE, MODEL]:
            in_model = parent is MODEL
            if field in {"version", "ordinal"} and not in_model:
                continue
            order = filter_typing.order(f"{field} {way}" if field else "", in_model=in_model)
            for text in ["", "labels.team:*", "metrics.accuracy > 0.6", "params.lr = 1"]:
                condition = filter_text.parse(text)
                within = [
                    one
                    for one in corpus
                    if (not in_model or one.has["model", ""] == ["m1"])
                    and searching.fits(condition, one)
                ]
                expected = [one.name for one in sorted_by(order, within)]
                for size in [1000, 7]:
                    got = await found(db, condition, order, parent=parent, size=size)
                    assert got == expected, (field, parent, text, size)


def sorted_by(order: filters.Order, entries: list[searching.Known]) -> list[searching.Known]:
    def key(one: searching.Known) -> Any:
        if not order.subject.field:
            return one.version_id
        value = one.values(order.subject)[0]
        if order.subject.field == "version":
            value = filter_typing.semver.parse(value).key
        return value, one.version_id

    present = [one for one in entries if not order.subject.field or one.values(order.subject)]
    absent = [one for one in entries if one not in present]
    down = order.descending
    return sorted(present, key=key, reverse=down) + sorted(
        absent, key=lambda one: one.version_id, reverse=down
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
@_SETTINGS
@hypothesis.given(searching.NONSENSE)
async def test_no_text_is_an_error_of_the_database(
    db: database.Database, corpus: searching.Corpus, text: str
) -> None:
    try:
        condition = filter_text.parse(text)
    except errors.InvalidArgument as error:
        assert error.violations  # noqa: PT017 - most texts are no filters, some are
    else:
        assert len(await found(db, condition)) <= COUNT
    async with db.connection() as connection:
        assert await searching.counts(connection, "version", "model") == [COUNT, 3]
    assert corpus


async def test_what_fits_is_kept_in_step(db: database.Database) -> None:
    (known, *_) = await searching.make_corpus(db, 3)
    async with db.transaction() as connection:
        await connection.execute(
            """UPDATE version SET labels = '{"new": "x"}', card = 'omega' WHERE version_id = $1""",
            known.version_id,
        )
    for text, there in [("labels.new = x", True), ("omega", True), ("labels.team:*", False)]:
        assert (known.name in await found(db, filter_text.parse(text))) is there, text


async def test_a_search_that_takes_too_long_says_what_would_help(
    db: database.Database,
) -> None:
    service = search_service.Searching(db, timeout_s=0.001)
    await searching.make_corpus(db, 5)
    async with services.owning(db) as connection:
        await connection.execute(
            """ALTER TABLE version DISABLE TRIGGER USER;
            INSERT INTO version (namespace_id, model_id, ordinal, version, semver_key, prerelease,
            state, content, labels, description, card, creator, create_client)
            SELECT namespace_id, model_id, 1000 + n, '9.0.' || n, 'x', false, 'draft', '{}', '{}',
            '', '', 'x', 'x' FROM version, generate_series(1, 20000) n WHERE ordinal = 1
            LIMIT 20000;
            ALTER TABLE version ENABLE TRIGGER USER"""
        )
    wanted = filters.Search(filter_text.parse("source.repository:nowhere AND NOT labels.b:*"))
    failure: errors.ModelkeepError = errors.Unavailable("not asked")
    for _ in range(10):
        with pytest.raises((errors.DeadlineExceeded, errors.Unavailable)) as told:
            await service.search(uploading.CALLER, searching.NAMESPACE, wanted, pages.PageRequest())
        failure = told.value
        # In so short a time it may be over just after a statement was described, when the driver
        # listens for nothing and takes what comes for the end of the connection.
        if isinstance(failure, errors.DeadlineExceeded):
            break
    assert failure.reason == "SEARCH_TOO_BROAD"
    assert "no index serves source.repository" in failure.message
    # The connection is as good as before.
    assert len(await found(db, filter_text.parse("create_time > 2020-01-01 AND version < 3.0.0")))
