"""RegistryService: a table of contents."""

import dataclasses
from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.domain import bumps, limits, names
from modelkeep.service import usecases
from modelkeep.transport import (
    convert_diffs,
    convert_facts,
    convert_histories,
    convert_quotas,
    lineage,
    page_tokens,
    requests,
    search_requests,
    wire_versions,
)
from modelkeep.transport import convert_registry as crossing
from modelkeep.v1 import registry_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2_grpc as pb_grpc


class RegistryServicer(lineage.LineageRpcs, pb_grpc.RegistryServiceServicer):
    """Turns requests into domain values, calls one service method, turns its answer back."""

    def __init__(self, registry: usecases.Registry, tokens: page_tokens.PageTokens) -> None:
        self._namespaces = registry.namespaces
        self._quotas = registry.quotas
        self._models = registry.models
        self._versions = registry.versions
        self._next_versions = registry.next_versions
        self._finalizing = registry.finalizing
        self._aliases = registry.aliases
        self._moving = registry.moving
        self._purging = registry.purging
        self._protections = registry.protections
        self._histories = registry.histories
        self._searching = registry.searching
        self._diffing = registry.diffing
        self._lineage = registry.lineage
        self._tokens = tokens
        self._answers = wire_versions.Answers()

    async def CreateNamespace(
        self, request: pb.CreateNamespaceRequest, context: Any
    ) -> pb.CreateNamespaceResponse:
        namespace = await self._namespaces.create(
            callers.current(), *requests.create_namespace(request)
        )
        return pb.CreateNamespaceResponse(namespace=crossing.namespace_to_wire(namespace))

    async def GetNamespace(
        self, request: pb.GetNamespaceRequest, context: Any
    ) -> pb.GetNamespaceResponse:
        name = requests.name_of(names.NamespaceName.parse, request)
        namespace = await self._namespaces.get(callers.current(), name)
        return pb.GetNamespaceResponse(namespace=crossing.namespace_to_wire(namespace))

    async def ListNamespaces(
        self, request: pb.ListNamespacesRequest, context: Any
    ) -> pb.ListNamespacesResponse:
        page = await self._namespaces.list(callers.current(), self._tokens.read(request))
        response = pb.ListNamespacesResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.namespaces, crossing.namespace_to_wire
        )
        return response

    async def UpdateNamespace(
        self, request: pb.UpdateNamespaceRequest, context: Any
    ) -> pb.UpdateNamespaceResponse:
        namespace = await self._namespaces.update(
            callers.current(), *requests.update_namespace(request)
        )
        return pb.UpdateNamespaceResponse(namespace=crossing.namespace_to_wire(namespace))

    async def GetNamespaceUsage(
        self, request: pb.GetNamespaceUsageRequest, context: Any
    ) -> pb.GetNamespaceUsageResponse:
        name = requests.name_of(names.NamespaceName.parse, request)
        usage = await self._quotas.get(callers.current(), name)
        return pb.GetNamespaceUsageResponse(usage=convert_quotas.usage_to_wire(usage))

    async def RecountNamespaceUsage(
        self, request: pb.RecountNamespaceUsageRequest, context: Any
    ) -> pb.RecountNamespaceUsageResponse:
        recount = await self._quotas.recount(
            callers.current(), *requests.recount_namespace_usage(request)
        )
        return convert_quotas.recount_to_wire(recount)

    async def CreateModel(
        self, request: pb.CreateModelRequest, context: Any
    ) -> pb.CreateModelResponse:
        model = await self._models.create(callers.current(), *requests.create_model(request))
        return pb.CreateModelResponse(model=crossing.model_to_wire(model))

    async def GetModel(self, request: pb.GetModelRequest, context: Any) -> pb.GetModelResponse:
        name = requests.name_of(names.ModelName.parse, request)
        model = await self._models.get(callers.current(), name)
        return pb.GetModelResponse(model=crossing.model_to_wire(model))

    async def ListModels(
        self, request: pb.ListModelsRequest, context: Any
    ) -> pb.ListModelsResponse:
        parent, asked = requests.list_within(self._tokens, names.NamespaceName.parse, request)
        page = await self._models.list(
            callers.current(), parent, asked, deleted=request.show_deleted
        )
        response = pb.ListModelsResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.models, crossing.model_to_wire
        )
        return response

    async def UpdateModel(
        self, request: pb.UpdateModelRequest, context: Any
    ) -> pb.UpdateModelResponse:
        model = await self._models.update(callers.current(), *requests.update_model(request))
        return pb.UpdateModelResponse(model=crossing.model_to_wire(model))

    async def DeleteModel(
        self, request: pb.DeleteModelRequest, context: Any
    ) -> pb.DeleteModelResponse:
        arguments = requests.by_etag("DeleteModel", names.ModelName.parse, request)
        model = await self._models.delete(callers.current(), *arguments)
        return pb.DeleteModelResponse(model=crossing.model_to_wire(model))

    async def RestoreModel(
        self, request: pb.RestoreModelRequest, context: Any
    ) -> pb.RestoreModelResponse:
        arguments = requests.by_etag("RestoreModel", names.ModelName.parse, request)
        model = await self._models.restore(callers.current(), *arguments)
        return pb.RestoreModelResponse(model=crossing.model_to_wire(model))

    async def MoveModel(self, request: pb.MoveModelRequest, context: Any) -> pb.MoveModelResponse:
        model = await self._moving.move(callers.current(), *requests.move_model(request))
        return pb.MoveModelResponse(model=crossing.model_to_wire(model))

    async def CreateVersion(
        self, request: pb.CreateVersionRequest, context: Any
    ) -> pb.CreateVersionResponse:
        once, wanted, content, notes = requests.create_version(request)
        if isinstance(wanted, bumps.NextVersion):
            version = await self._next_versions.create(
                callers.current(), once, wanted, content, notes
            )
        else:
            version = await self._versions.create(callers.current(), once, wanted, content, notes)
        return pb.CreateVersionResponse(version=crossing.version_to_wire(version))

    async def FinalizeVersion(
        self, request: pb.FinalizeVersionRequest, context: Any
    ) -> pb.FinalizeVersionResponse:
        version = await self._finalizing.finalize(
            callers.current(), *requests.finalize_version(request)
        )
        return pb.FinalizeVersionResponse(version=crossing.version_to_wire(version))

    async def GetVersion(self, request: pb.GetVersionRequest, context: Any) -> Any:
        name = requests.name_of(names.VersionName.parse, request)
        return self._answers.of(await self._versions.get(callers.current(), name))

    async def ListVersions(
        self, request: pb.ListVersionsRequest, context: Any
    ) -> pb.ListVersionsResponse:
        parent, asked = requests.list_within(self._tokens, names.ModelName.parse, request)
        page = await self._versions.list(
            callers.current(), parent, asked, deleted=request.show_deleted
        )
        response = pb.ListVersionsResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.versions, crossing.version_to_wire
        )
        return response

    async def SearchVersions(
        self, request: pb.SearchVersionsRequest, context: Any
    ) -> pb.SearchVersionsResponse:
        asked = search_requests.search_versions(self._tokens, request)
        page = await self._searching.search(callers.current(), *asked)
        response = pb.SearchVersionsResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.versions, crossing.version_to_wire
        )
        return response

    async def ListFiles(self, request: pb.ListFilesRequest, context: Any) -> pb.ListFilesResponse:
        parent, asked = requests.list_within(self._tokens, names.VersionName.parse, request)
        response = pb.ListFilesResponse()
        if request.show_facts:
            fewer = dataclasses.replace(asked, size=min(asked.size, limits.INSPECTED_PAGE))
            inspected = await self._versions.list_inspected(callers.current(), parent, fewer)
            response.next_page_token = self._tokens.write(
                request, inspected, response.files, convert_facts.inspected_to_wire
            )
            return response
        page = await self._versions.list_files(callers.current(), parent, asked)
        response.next_page_token = self._tokens.write(
            request, page, response.files, crossing.file_to_wire
        )
        return response

    async def ResolveVersion(self, request: pb.ResolveVersionRequest, context: Any) -> Any:
        asked = requests.resolve_version(request)
        return self._answers.of(await self._versions.resolve(callers.current(), *asked))

    async def DiffVersions(
        self, request: pb.DiffVersionsRequest, context: Any
    ) -> pb.DiffVersionsResponse:
        before, after, max_files = requests.diff_versions(request)
        diff = await self._diffing.diff(callers.current(), before, after)
        return pb.DiffVersionsResponse(diff=convert_diffs.diff_to_wire(diff, max_files))

    async def UpdateVersion(
        self, request: pb.UpdateVersionRequest, context: Any
    ) -> pb.UpdateVersionResponse:
        version = await self._versions.update(callers.current(), *requests.update_version(request))
        return pb.UpdateVersionResponse(version=crossing.version_to_wire(version))

    async def DeleteVersion(
        self, request: pb.DeleteVersionRequest, context: Any
    ) -> pb.DeleteVersionResponse:
        arguments = requests.by_etag("DeleteVersion", names.VersionName.parse, request)
        version = await self._versions.delete(callers.current(), *arguments)
        return pb.DeleteVersionResponse(version=crossing.version_to_wire(version))

    async def RestoreVersion(
        self, request: pb.RestoreVersionRequest, context: Any
    ) -> pb.RestoreVersionResponse:
        arguments = requests.by_etag("RestoreVersion", names.VersionName.parse, request)
        version = await self._versions.restore(callers.current(), *arguments)
        return pb.RestoreVersionResponse(version=crossing.version_to_wire(version))

    async def PurgeVersion(
        self, request: pb.PurgeVersionRequest, context: Any
    ) -> pb.PurgeVersionResponse:
        arguments = requests.by_etag("PurgeVersion", names.VersionName.parse, request)
        version = await self._purging.purge(callers.current(), *arguments)
        return pb.PurgeVersionResponse(version=crossing.version_to_wire(version))

    async def SetAlias(self, request: pb.SetAliasRequest, context: Any) -> pb.SetAliasResponse:
        alias = await self._aliases.set(
            callers.current(), *requests.set_alias(request), if_absent=request.if_absent
        )
        return pb.SetAliasResponse(alias=crossing.alias_to_wire(alias))

    async def GetAlias(self, request: pb.GetAliasRequest, context: Any) -> pb.GetAliasResponse:
        name = requests.name_of(names.AliasName.parse, request)
        alias = await self._aliases.get(callers.current(), name)
        return pb.GetAliasResponse(alias=crossing.alias_to_wire(alias))

    async def ListAliases(
        self, request: pb.ListAliasesRequest, context: Any
    ) -> pb.ListAliasesResponse:
        parent, asked = requests.list_within(self._tokens, names.ModelName.parse, request)
        page = await self._aliases.list(callers.current(), parent, asked)
        response = pb.ListAliasesResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.aliases, crossing.alias_to_wire
        )
        return response

    async def DeleteAlias(
        self, request: pb.DeleteAliasRequest, context: Any
    ) -> pb.DeleteAliasResponse:
        await self._aliases.delete(callers.current(), *requests.delete_alias(request))
        return pb.DeleteAliasResponse()

    async def ProtectAliases(
        self, request: pb.ProtectAliasesRequest, context: Any
    ) -> pb.ProtectAliasesResponse:
        protection = await self._protections.protect(
            callers.current(), *requests.protection("ProtectAliases", request)
        )
        return pb.ProtectAliasesResponse(protection=crossing.protection_to_wire(protection))

    async def UnprotectAliases(
        self, request: pb.UnprotectAliasesRequest, context: Any
    ) -> pb.UnprotectAliasesResponse:
        await self._protections.unprotect(
            callers.current(), *requests.protection("UnprotectAliases", request)
        )
        return pb.UnprotectAliasesResponse()

    async def ListAliasProtections(
        self, request: pb.ListAliasProtectionsRequest, context: Any
    ) -> pb.ListAliasProtectionsResponse:
        held = await self._protections.list(callers.current(), requests.protections_of(request))
        return pb.ListAliasProtectionsResponse(protections=map(crossing.protection_to_wire, held))

    async def ListAliasHistory(
        self, request: pb.ListAliasHistoryRequest, context: Any
    ) -> pb.ListAliasHistoryResponse:
        asked = requests.history(self._tokens, request)
        page = await self._histories.list_aliases(callers.current(), *asked)
        response = pb.ListAliasHistoryResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.assignments, convert_histories.alias_assignment_to_wire
        )
        return response

    async def ListHistory(
        self, request: pb.ListHistoryRequest, context: Any
    ) -> pb.ListHistoryResponse:
        asked = requests.history(self._tokens, request)
        page = await self._histories.list_events(callers.current(), *asked)
        response = pb.ListHistoryResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.entries, convert_histories.entry_to_wire
        )
        return response
