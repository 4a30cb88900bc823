"""The same registry for code that is not async: each call runs on a private loop in a thread.

Nothing is written twice: every method here is the async one, made blocking.
"""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from modelkeep.client import calls, channel, credentials, registry

_P = ParamSpec("_P")
_R = TypeVar("_R")


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="modelkeep-sync", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _R]) -> _R:
        """The work's result; an interrupt in the calling thread cancels the work."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _blocking(
    method: Callable[Concatenate[registry.Registry, _P], Coroutine[Any, Any, _R]],
) -> Callable[Concatenate["SyncRegistry", _P], _R]:
    @functools.wraps(method)
    def call(self: "SyncRegistry", /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return self.loop.run(method(self.registry, *args, **kwargs))

    return call


def _iterating(
    method: Callable[Concatenate[registry.Registry, _P], AsyncIterator[_R]],
) -> Callable[Concatenate["SyncRegistry", _P], Iterator[_R]]:
    @functools.wraps(method)
    def call(self: "SyncRegistry", /, *args: _P.args, **kwargs: _P.kwargs) -> Iterator[_R]:
        entries = method(self.registry, *args, **kwargs)
        while True:
            try:
                yield self.loop.run(_advance(entries))
            except StopAsyncIteration:
                return

    return call


async def _advance(entries: AsyncIterator[_R]) -> _R:
    return await anext(entries)


class SyncRegistry:
    """A registry whose calls block; see `modelkeep.client.connect_sync`. Thread-safe."""

    def __init__(
        self,
        endpoint: str = channel.DEFAULT_ENDPOINT,
        *,
        timeout_s: float = calls.DEFAULT_TIMEOUT_S,
        shown: credentials.Credentials = channel.NO_CREDENTIALS,
    ) -> None:
        self.loop = _Loop()
        try:
            self.registry = self.loop.run(_connect(endpoint, timeout_s, shown))
        except BaseException:
            self.loop.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the channel and the private loop."""
        self.loop.run(self.registry.close())
        self.loop.close()

    create_namespace = _blocking(registry.Registry.create_namespace)
    get_namespace = _blocking(registry.Registry.get_namespace)
    list_namespaces = _iterating(registry.Registry.list_namespaces)
    update_namespace = _blocking(registry.Registry.update_namespace)
    namespace_usage = _blocking(registry.Registry.namespace_usage)
    set_quotas = _blocking(registry.Registry.set_quotas)
    recount_usage = _blocking(registry.Registry.recount_usage)
    create_model = _blocking(registry.Registry.create_model)
    get_model = _blocking(registry.Registry.get_model)
    list_models = _iterating(registry.Registry.list_models)
    update_model = _blocking(registry.Registry.update_model)
    delete_model = _blocking(registry.Registry.delete_model)
    restore_model = _blocking(registry.Registry.restore_model)
    move_model = _blocking(registry.Registry.move_model)
    lineage = _blocking(registry.Registry.lineage)
    add_lineage = _blocking(registry.Registry.add_lineage)
    remove_lineage = _blocking(registry.Registry.remove_lineage)
    record_evaluation = _blocking(registry.Registry.record_evaluation)
    get_evaluation = _blocking(registry.Registry.get_evaluation)
    list_evaluations = _iterating(registry.Registry.list_evaluations)
    compare_versions = _blocking(registry.Registry.compare_versions)
    set_evaluation_plan = _blocking(registry.Registry.set_evaluation_plan)
    get_evaluation_plan = _blocking(registry.Registry.get_evaluation_plan)
    recommend_version = _blocking(registry.Registry.recommend_version)
    check_regression = _blocking(registry.Registry.check_regression)
    compliance_report = _blocking(registry.Registry.compliance_report)
    create_environment = _blocking(registry.Registry.create_environment)
    get_environment = _blocking(registry.Registry.get_environment)
    list_environments = _iterating(registry.Registry.list_environments)
    update_environment = _blocking(registry.Registry.update_environment)
    delete_environment = _blocking(registry.Registry.delete_environment)
    record_deployment = _blocking(registry.Registry.record_deployment)
    end_deployment = _blocking(registry.Registry.end_deployment)
    get_deployment = _blocking(registry.Registry.get_deployment)
    list_deployments = _iterating(registry.Registry.list_deployments)
    deployment_history = _iterating(registry.Registry.deployment_history)
    roll_back = _blocking(registry.Registry.roll_back)
    deployment_sheet = _blocking(registry.Registry.deployment_sheet)
    create_version = _blocking(registry.Registry.create_version)
    create_next_version = _blocking(registry.Registry.create_next_version)
    finalize_version = _blocking(registry.Registry.finalize_version)
    get_version = _blocking(registry.Registry.get_version)
    list_versions = _iterating(registry.Registry.list_versions)
    list_files = _iterating(registry.Registry.list_files)
    search = _iterating(registry.Registry.search)
    resolve = _blocking(registry.Registry.resolve)
    update_version = _blocking(registry.Registry.update_version)
    update_draft = _blocking(registry.Registry.update_draft)
    delete_version = _blocking(registry.Registry.delete_version)
    restore_version = _blocking(registry.Registry.restore_version)
    purge_version = _blocking(registry.Registry.purge_version)
    set_alias = _blocking(registry.Registry.set_alias)
    get_alias = _blocking(registry.Registry.get_alias)
    list_aliases = _iterating(registry.Registry.list_aliases)
    delete_alias = _blocking(registry.Registry.delete_alias)
    protect_aliases = _blocking(registry.Registry.protect_aliases)
    unprotect_aliases = _blocking(registry.Registry.unprotect_aliases)
    list_alias_protections = _blocking(registry.Registry.list_alias_protections)
    diff_versions = _blocking(registry.Registry.diff_versions)
    history = _iterating(registry.Registry.history)
    alias_history = _iterating(registry.Registry.alias_history)
    stage_history = _iterating(registry.Registry.stage_history)
    set_stage = _blocking(registry.Registry.set_stage)
    release_version = _blocking(registry.Registry.release_version)
    capabilities = _blocking(registry.Registry.capabilities)
    find_missing = _blocking(registry.Registry.find_missing)
    start_upload = _blocking(registry.Registry.start_upload)
    create_part_urls = _blocking(registry.Registry.create_part_urls)
    confirm_parts = _blocking(registry.Registry.confirm_parts)
    create_range_urls = _blocking(registry.Registry.create_range_urls)
    get_upload = _blocking(registry.Registry.get_upload)
    complete_upload = _blocking(registry.Registry.complete_upload)
    list_uploads = _iterating(registry.Registry.list_uploads)
    collect_garbage = _iterating(registry.Registry.collect_garbage)
    abort_upload = _blocking(registry.Registry.abort_upload)
    read_blob = _iterating(registry.Registry.read_blob)
    read_named_blob = _iterating(registry.Registry.read_named_blob)
    write_blobs = _blocking(registry.Registry.write_blobs)
    read_blobs = _blocking(registry.Registry.read_blobs)
    read_file = _blocking(registry.Registry.read_file)
    stream_file = _iterating(registry.Registry.stream_file)
    verify_version = _iterating(registry.Registry.verify_version)
    set_gate_policy = _blocking(registry.Registry.set_gate_policy)
    get_gate_policy = _blocking(registry.Registry.get_gate_policy)
    list_gate_policies = _iterating(registry.Registry.list_gate_policies)
    delete_gate_policy = _blocking(registry.Registry.delete_gate_policy)
    evaluate_gates = _blocking(registry.Registry.evaluate_gates)
    request_transition = _blocking(registry.Registry.request_transition)
    approve_transition = _blocking(registry.Registry.approve_transition)
    reject_transition = _blocking(registry.Registry.reject_transition)
    cancel_transition = _blocking(registry.Registry.cancel_transition)
    commit_transition = _blocking(registry.Registry.commit_transition)
    get_transition = _blocking(registry.Registry.get_transition)
    list_transitions = _iterating(registry.Registry.list_transitions)
    open_transition = _blocking(registry.Registry.open_transition)
    ensure_transition = _blocking(registry.Registry.ensure_transition)
    wait_for_transition = _blocking(registry.Registry.wait_for_transition)
    watch = _iterating(registry.Registry.watch)
    list_events = _iterating(registry.Registry.list_events)
    create_webhook = _blocking(registry.Registry.create_webhook)
    get_webhook = _blocking(registry.Registry.get_webhook)
    list_webhooks = _iterating(registry.Registry.list_webhooks)
    update_webhook = _blocking(registry.Registry.update_webhook)
    delete_webhook = _blocking(registry.Registry.delete_webhook)
    rotate_webhook_secret = _blocking(registry.Registry.rotate_webhook_secret)
    list_deliveries = _iterating(registry.Registry.list_deliveries)
    get_delivery = _blocking(registry.Registry.get_delivery)
    redeliver = _blocking(registry.Registry.redeliver)
    list_audit_events = _iterating(registry.Registry.list_audit_events)
    verify_audit = _iterating(registry.Registry.verify_audit)
    export_audit = _iterating(registry.Registry.export_audit)
    list_audit_checkpoints = _iterating(registry.Registry.list_audit_checkpoints)
    audit_keys = _blocking(registry.Registry.audit_keys)
    who_am_i = _blocking(registry.Registry.who_am_i)
    test_permissions = _blocking(registry.Registry.test_permissions)
    create_token = _blocking(registry.Registry.create_token)
    list_tokens = _iterating(registry.Registry.list_tokens)
    revoke_token = _blocking(registry.Registry.revoke_token)
    grant_role = _blocking(registry.Registry.grant_role)
    list_roles = _iterating(registry.Registry.list_roles)
    revoke_role = _blocking(registry.Registry.revoke_role)
    sign_version = _blocking(registry.Registry.sign_version)
    attach_signature = _blocking(registry.Registry.attach_signature)
    get_signature_bundle = _blocking(registry.Registry.get_signature_bundle)
    list_signatures = _iterating(registry.Registry.list_signatures)
    signature_verdict = _blocking(registry.Registry.signature_verdict)
    check_signatures = _blocking(registry.Registry.check_signatures)
    trust_signer = _blocking(registry.Registry.trust_signer)
    list_trusted_signers = _iterating(registry.Registry.list_trusted_signers)
    revoke_signer = _blocking(registry.Registry.revoke_signer)
    provenance_statement = _blocking(registry.Registry.provenance_statement)
    bill_of_materials = _blocking(registry.Registry.bill_of_materials)
    push = _blocking(registry.Registry.push)
    pull = _blocking(registry.Registry.pull)
    export_bundle = _blocking(registry.Registry.export_bundle)
    import_bundle = _blocking(registry.Registry.import_bundle)
    import_hf_cache = _blocking(registry.Registry.import_hf_cache)
    import_mlflow = _blocking(registry.Registry.import_mlflow)


async def _connect(
    endpoint: str, timeout_s: float, shown: credentials.Credentials
) -> registry.Registry:
    # On the private loop, because a channel belongs to the loop it was made on.
    return registry.Registry(endpoint, timeout_s=timeout_s, shown=shown)
