import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain import errors, names, refs, semver, stages

ids = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?", fullmatch=True)


@given(ids, ids)
def test_a_name_reads_back_as_it_was_written(namespace: str, model: str) -> None:
    for name in (
        names.NamespaceName(namespace),
        names.ModelName(namespace, model),
        names.VersionName(namespace, model, "1.2.3-rc.1+build.5"),
        names.UploadName(namespace, "0" * 32),
        names.BlobName(namespace, "sha256:" + "a" * 64),
        names.FileName(names.VersionName(namespace, model, "1.0.0"), "a dir/weights.bin"),
    ):
        assert type(name).parse(str(name)) == name


PARSERS = [
    names.NamespaceName.parse,
    names.ModelName.parse,
    names.VersionName.parse,
    names.AliasName.parse,
    names.FileName.parse,
    names.BlobName.parse,
    names.UploadName.parse,
    refs.parse,
]
HOSTILE = [
    "",
    "/",
    "namespaces/",
    "namespaces/A",
    "namespaces/a/",
    "namespaces/a\n",
    "namespaces/-a",
    "namespaces/a-",
    "namespaces/" + "a" * 129,
    "namespaces/a/models/b/versions/not-semver",
    "namespaces/a/models/../versions/1.0.0",
    "namespaces/a/models/b/versions/1.0.0/files/../x",
    "namespaces/a/models/b/versions/1.0.0/files//x",
    "namespaces/a/models/b/aliases/latest",
    "namespaces/a/models/b/aliases/production",
    "namespaces/a/models/b/aliases/1.0",
    "namespaces/a/blobs/sha256:XYZ",
    "namespaces/a/uploads/1",
    "namespaces/a'; DROP TABLE version; --",
    "namespaces/\u202eevil",
    "a" * 100_000,
    "\x00",
]


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_refused(parse: object, text: str) -> None:
    with pytest.raises(errors.InvalidArgument) as refused:
        parse(text)  # type: ignore[operator]
    assert refused.value.violations
    assert len(refused.value.message) < 1000


@pytest.mark.parametrize("parse", PARSERS)
@given(text=st.text(max_size=200))
def test_any_text_is_a_name_or_refused(parse: object, text: str) -> None:
    try:
        name = parse(text)  # type: ignore[operator]
    except errors.InvalidArgument:
        return
    if not isinstance(name, refs.Ref):
        assert str(name) == text


DIGEST = "sha256:" + "0" * 64
REFS = [
    ("acme/m", refs.LATEST),
    ("acme/m@latest", refs.LATEST),
    ("acme/m@2.1.0", refs.ByVersion("2.1.0")),
    ("acme/m@2.1.0-rc.1", refs.ByVersion("2.1.0-rc.1")),
    ("acme/m@^2.1", refs.ByRange(semver.parse_range("^2.1"))),
    ("acme/m@2.x", refs.ByRange(semver.parse_range("2.x"))),
    ("acme/m@2", refs.ByRange(semver.parse_range("2"))),
    ("acme/m@champion", refs.ByAlias("champion")),
    ("acme/m@#17", refs.ByOrdinal(17)),
    (f"acme/m@{DIGEST}", refs.ByDigest(DIGEST)),
    *((f"acme/m@{stage}", refs.ByStage(stage)) for stage in stages.STAGES),
]


@pytest.mark.parametrize(("text", "selector"), REFS)
def test_references_are_read_as_a_person_means_them(text: str, selector: refs.Selector) -> None:
    assert refs.parse(text) == refs.Ref(names.ModelName("acme", "m"), selector)


@pytest.mark.parametrize(
    "text", ["acme", "acme/m@", "acme/m/x", "acme/m@#0", "acme/m@#x", "acme/m@#" + "9" * 30,
             "acme/m@Champion", "acme/m@sha256:1", "acme/m@a@b", "@1.0.0", "acme/m@^"]
)  # fmt: skip
def test_malformed_references_are_refused(text: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        refs.parse(text)
