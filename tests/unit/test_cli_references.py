"""Which references stand for the resource names that a server says."""

import pytest

from modelkeep.cli import references
from modelkeep.client import (
    deployment_records,
    evaluation_records,
    refs,
    transition_records,
    webhook_convert,
)
from modelkeep.domain import names

VERSION = names.VersionName("acme-2", "voice.en", "1.2.0-rc.1+b7")
HEX = "0123456789abcdef"


@pytest.mark.parametrize(
    ("name", "short"),
    [
        (names.NamespaceName("acme-2"), "acme-2"),
        (VERSION.parent, "acme-2/voice.en"),
        (VERSION, "acme-2/voice.en@1.2.0-rc.1+b7"),
        (names.AliasName("acme-2", "voice.en", "champion"), "acme-2/voice.en@champion"),
        (names.FileName(VERSION, "a/b c.bin"), "acme-2/voice.en@1.2.0-rc.1+b7 a/b c.bin"),
        (names.EvaluationName(VERSION, HEX), f"acme-2/voice.en@1.2.0-rc.1+b7/{HEX}"),
        (names.TransitionName(VERSION, HEX), f"acme-2/voice.en@1.2.0-rc.1+b7/{HEX}"),
        (names.DeploymentName(VERSION.parent, HEX), f"acme-2/voice.en/{HEX}"),
        (names.EnvironmentName("acme-2", "prod-eu"), "acme-2/prod-eu"),
        (names.WebhookName("acme-2", HEX), f"acme-2/{HEX}"),
        (names.DeliveryName(names.WebhookName("acme-2", HEX), 17), f"acme-2/{HEX}/17"),
    ],
    ids=lambda one: type(one).__name__,
)
@pytest.mark.parametrize("sentence", ["{} does not exist", "in {}.", "({}): no", "{}", "{}; {}, x"])
def test_each_kind_of_name_has_the_reference_that_people_write(
    name: object, short: str, sentence: str
) -> None:
    said = references.shown_in(sentence.format(name, name))
    assert said == sentence.format(short, short)


@pytest.mark.parametrize(
    "name",
    [
        names.UploadName("acme-2", HEX * 2),
        names.BlobName("acme-2", "sha256:" + HEX * 4),
        names.GatePolicyName(names.NamespaceName("acme-2"), "production"),
        names.TrustedSignerName("acme-2", "ci-2"),
        names.SignatureName(VERSION, HEX),
        "namespaces/acme-2/models/voice.en/evaluationPlan",
        "namespaces/{namespace}/models/{model}",
        "namespaces/-",
        "namespaces/acme-2/",
    ],
    ids=str,
)
def test_what_no_verb_takes_in_a_shorter_form_stays(name: object) -> None:
    assert references.shown_in(f"{name} does not exist") == f"{name} does not exist"


def test_verbs_take_what_is_shown() -> None:
    evaluation = names.EvaluationName(VERSION, HEX)
    transition = names.TransitionName(VERSION, HEX)
    deployment = names.DeploymentName(VERSION.parent, HEX)
    delivery = names.DeliveryName(names.WebhookName("acme", HEX), 17)
    environment = names.EnvironmentName("acme", "prod")
    for name, taken in (
        (evaluation, evaluation_records.full_name),
        (transition, transition_records.full_name),
        (deployment, deployment_records.full_name),
        (environment, deployment_records.environment_name),
        (delivery, webhook_convert.delivery_name),
        (delivery.parent, webhook_convert.webhook_name),
        (VERSION, lambda text: refs.parse(text).version_name),
    ):
        assert taken(references.shown_in(str(name))) == str(name)
