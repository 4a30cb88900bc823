"""Calls about what happened to a model."""

from collections.abc import AsyncIterator

from modelkeep.client import connection, diff_records, history_records, refs
from modelkeep.v1 import lifecycle_service_pb2 as lifecycle_pb
from modelkeep.v1 import registry_service_pb2 as pb


class HistoryCalls(connection.Connection):
    """Read histories, the newest first, and what lies between two versions."""

    async def diff_versions(
        self, before: str, after: str, *, max_files: int = 1000
    ) -> diff_records.VersionDiff:
        """What lies between two sealed versions, of one model or of two.

        Args:
            before: what to start from, `acme/voice@production` for example.
            after: what to lead to.
            max_files: how many files to list, at most 10,000; all are counted.
        """
        request = pb.DiffVersionsRequest(
            from_ref=str(refs.parse_selection(before)),
            to_ref=str(refs.parse_selection(after)),
            max_files=max_files,
        )
        response = await self._call(self._registry.DiffVersions, request)
        return diff_records.diff_from_wire(response.diff)

    def history(
        self, model: str, *, alias: str = "", stage: str = "", version: str = ""
    ) -> AsyncIterator[history_records.HistoryEntry]:
        """What happened to a model, its versions and aliases.

        Args:
            model: `acme/voice`.
            alias: only moves of this alias.
            stage: only moves into and out of this stage.
            version: only what happened to this version, `1.2.0`.
        """
        parent = refs.parse_model(model).model_name

        async def fetch(token: str) -> tuple[list[history_records.HistoryEntry], str]:
            request = pb.ListHistoryRequest(
                parent=parent,
                page_size=connection.MAX_PAGE_SIZE,
                page_token=token,
                alias=alias,
                stage=stage,
                version=version,
            )
            page = await self._call(self._registry.ListHistory, request)
            return list(map(history_records.entry_from_wire, page.entries)), page.next_page_token

        return connection.pages(fetch)

    def alias_history(
        self, model: str, alias: str = ""
    ) -> AsyncIterator[history_records.AliasAssignment]:
        """Where a model's aliases pointed, or one of them, which need not be set now."""
        parent = refs.parse_model(model).model_name

        async def fetch(token: str) -> tuple[list[history_records.AliasAssignment], str]:
            request = pb.ListAliasHistoryRequest(
                parent=parent, page_size=connection.MAX_PAGE_SIZE, page_token=token, alias=alias
            )
            page = await self._call(self._registry.ListAliasHistory, request)
            entries = map(history_records.alias_assignment_from_wire, page.assignments)
            return list(entries), page.next_page_token

        return connection.pages(fetch)

    def stage_history(
        self, model: str, *, stage: str = "", version: str = ""
    ) -> AsyncIterator[history_records.StageAssignment]:
        """Where a model's versions stood: in one stage, or one of them, or all."""
        parent = refs.parse_model(model).model_name

        async def fetch(token: str) -> tuple[list[history_records.StageAssignment], str]:
            request = lifecycle_pb.GetStageHistoryRequest(
                parent=parent,
                page_size=connection.MAX_PAGE_SIZE,
                page_token=token,
                stage=stage,
                version=version,
            )
            page = await self._call(self._lifecycle.GetStageHistory, request)
            entries = map(history_records.stage_assignment_from_wire, page.assignments)
            return list(entries), page.next_page_token

        return connection.pages(fetch)
