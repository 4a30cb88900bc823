"""Services and databases for the tests that ask for them; a unit test starts nothing.

Each xdist worker has its own services, started when the first of its tests needs one.
"""

import os
import signal
from collections.abc import AsyncIterator, Generator, Iterator

import hypothesis
import pytest
from support import planted, reuse, services, warm

from modelkeep import config as configuration
from modelkeep.local import postgres as embedded

# No example is timed: the machine may be busy. And in CI the examples are always the same: a new
# find is for whoever works on the code, not for whoever wants to land something else.
hypothesis.settings.register_profile("modelkeep", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("modelkeep")

# A shell has what it runs in the background ignore SIGINT, and so would every program that a test
# starts and then interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _own_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tokens and notes of the session's servers lie in a directory of its own."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(home / "state"))
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        patch.setenv("PGSSLMODE", "disable")  # the driver would read all authorities each time
        yield


@pytest.fixture(scope="session", autouse=True)
def _warm() -> Iterator[None]:
    """Programs of ours start in milliseconds."""
    with warm.starting():
        yield


@pytest.fixture(scope="session", autouse=True)
def _noting_secrets() -> Iterator[None]:
    """Every secret that is made in the session is noted, so that it can be searched for."""
    with planted.watching():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test whose output or log has a secret fails, whatever else it proves."""
    report = yield
    said = "\n".join(text for _, text in report.sections)
    if call.when == "teardown":
        said += planted.newly_written()
    if leaked := planted.found_in(said):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} printed or logged secrets: " + "; ".join(leaked)
    return report


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[embedded.Postgres]:
    """The session's Postgres; most tests want `database_url`."""
    async with services.running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
async def s3() -> AsyncIterator[services.S3]:
    """The session's S3 store: `endpoint`, `access_key`, `secret_key`, `client()`."""
    async with services.running_s3() as store:
        yield store


@pytest.fixture(scope="session")
async def _template(postgres: embedded.Postgres) -> str:
    """A migrated database that each test's own is cloned from, in about 30 ms."""
    from modelkeep.storage import migrations  # noqa: PLC0415 - unit tests load no driver

    name = "template_migrated"
    await services.execute(postgres.url, f"CREATE DATABASE {name}")
    await migrations.migrate(services.url_of(postgres, name))
    return name


@pytest.fixture(scope="session")
async def _databases(postgres: embedded.Postgres, _template: str) -> AsyncIterator[reuse.Databases]:
    """Migrated databases, each lent to one test at a time."""
    databases = reuse.Databases(postgres, _template)
    yield databases
    await databases.close()


@pytest.fixture
async def database_url(_databases: reuse.Databases) -> AsyncIterator[str]:
    """URL of a migrated database that only this test has."""
    async with _databases.one() as url:
        yield url


@pytest.fixture
async def empty_database_url(postgres: embedded.Postgres) -> AsyncIterator[str]:
    """URL of an empty database of this test's own."""
    async with services.database(postgres) as url:
        yield url


@pytest.fixture(scope="session")
def _buckets(s3: services.S3) -> Iterator[reuse.Buckets]:
    """Empty buckets, each lent to one test at a time."""
    buckets = reuse.Buckets(s3)
    yield buckets
    buckets.close()


@pytest.fixture
def bucket(_buckets: reuse.Buckets) -> Iterator[str]:
    """Name of an empty bucket that only this test has."""
    with _buckets.one() as name:
        yield name


@pytest.fixture
def config(database_url: str, s3: services.S3, bucket: str) -> configuration.Config:
    """Configuration of a server of this test's own, on a free loopback port."""
    return configuration.Config(
        database_url=database_url,
        s3_endpoint=s3.endpoint,
        s3_access_key=s3.access_key,
        s3_secret_key=s3.secret_key,
        s3_bucket=bucket,
        s3_secure=False,
        listen="127.0.0.1:0",
        anonymous_role="admin",
        log_format="console",
    )
