"""Exporting and importing, as the SDK shows it; `exchange` has the work."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from modelkeep.client import connection, progress, refs, workers
from modelkeep.client.exchange import reports

if TYPE_CHECKING:
    from modelkeep.client.registry import Registry


class ExchangeCalls(connection.Connection):
    """Models out of a registry, and into it from a bundle, a cache or another registry."""

    @property
    def _whole(self) -> "Registry":
        # An import uses every other call; the class that has them all is made of this one too.
        return cast("Registry", self)

    async def export_bundle(
        self, ref: str, file: Path | str, *, listener: progress.Progress | None = None
    ) -> reports.ExportReport:
        """Write a version, or all of a model's, into one file that another registry can import.

        Args:
            ref: `acme/voice@1.2.0`, or `acme/voice` for all its versions.
            file: what to write; it has its name only when it is whole and was read back.
            listener: hears how far it is.

        Raises:
            NotFound: there is nothing of that name to export.
            Refused: there is such a file already.
            RegistryError: the registry answered anything else than success.
        """
        from modelkeep.client.exchange import bundle_export  # noqa: PLC0415 - few need it

        with workers.Workers() as pool:
            export = bundle_export.Export(self._whole, pool, listener or progress.Progress())
            return await export.run(refs.parse_selection(ref), Path(file))

    async def import_bundle(
        self,
        file: Path | str,
        *,
        into: str = "",
        is_dry_run: bool = False,
        listener: progress.Progress | None = None,
    ) -> reports.ImportReport:
        """Bring what a bundle holds into this registry; what is there is kept as it is.

        An import that was cut goes on when the same call is made again.

        Args:
            file: the bundle.
            into: a namespace or a model; empty for those that the bundle names.
            is_dry_run: tell what would be done, and write nothing.
            listener: hears how far it is.

        Raises:
            BadSource: the bundle is damaged or none; nothing was imported.
            Refused: the model is there and cannot take the versions.
        """
        from modelkeep.client.exchange import bundle_import  # noqa: PLC0415 - few need it

        heard = listener or progress.Progress()
        with workers.Workers() as pool:
            work = bundle_import.BundleImport(self._whole, into, pool, heard, is_dry_run=is_dry_run)
            return await work.run(Path(file))

    async def import_hf_cache(
        self,
        directory: Path | str,
        namespace: str,
        *,
        repositories: Sequence[str] = (),
        is_dry_run: bool = False,
        listener: progress.Progress | None = None,
    ) -> reports.ImportReport:
        """Bring the models of a Hugging Face hub cache into a namespace, a snapshot as a version.

        Args:
            directory: the cache's folder.
            namespace: where to; each repository becomes a model of it.
            repositories: `org/name` of those to bring; all if empty.
            is_dry_run: tell what would be done, and write nothing.
            listener: hears how far it is.

        Raises:
            BadSource: there is no such cache, or it lacks a repository.
            BadTree: a path cannot be a version's file.
        """
        from modelkeep.client.exchange import hf_import  # noqa: PLC0415 - few need it

        heard = listener or progress.Progress()
        with workers.Workers() as pool:
            work = hf_import.CacheImport(self._whole, namespace, pool, heard, is_dry_run=is_dry_run)
            return await work.run(Path(directory), repositories)

    async def import_mlflow(
        self,
        uri: str,
        namespace: str,
        *,
        models: Sequence[str] = (),
        is_dry_run: bool = False,
        listener: progress.Progress | None = None,
    ) -> reports.ImportReport:
        """Bring the registered models of an MLflow server into a namespace.

        An import that was cut goes on when the same call is made again.

        Args:
            uri: `http://HOST:PORT` of the MLflow server, with `USER:PASSWORD@` if it wants that.
            namespace: where to; each registered model becomes a model of it.
            models: names of those to bring; all if empty.
            is_dry_run: tell what would be done, and write nothing.
            listener: hears how far it is.

        Raises:
            NotFound: MLflow has no model of that name.
            BadSource: MLflow does not answer, or not as it should.
        """
        from modelkeep.client.exchange import (  # noqa: PLC0415 - few need it
            mlflow_http,
            mlflow_import,
        )

        heard = listener or progress.Progress()
        with workers.Workers() as pool, contextlib.closing(mlflow_http.Server(uri)) as server:
            work = mlflow_import.MlflowImport(
                self._whole, server, namespace, pool, heard, is_dry_run=is_dry_run
            )
            return await work.run(models)
