"""A small MLflow: the calls of its REST API that an import makes, over dictionaries."""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib import parse

from modelkeep.local import ports

_API = "/api/2.0/"


@dataclass
class FakeMlflow:
    """What it holds; `files` has contents by path behind the artifact proxy.

    `sizes` overrides the size that a listing tells, `calls` counts what was asked.
    """

    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    listed: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    unavailable: int = 0
    page: int = 1

    def add(self, name: str, number: int, **said: Any) -> None:
        """A version with a run and two files."""
        self.models.setdefault(name, {"name": name, "creation_timestamp": 1_700_000_000_000})
        run_id = f"{number:032x}"
        source = f"mlflow-artifacts:/1/{name}/{number}"
        self.versions.setdefault(name, []).append(
            {
                "name": name,
                "version": str(number),
                "creation_timestamp": 1_700_000_000_000 + number,
                "last_updated_timestamp": 1_700_000_100_000,
                "current_stage": "None",
                "status": "READY",
                "user_id": "ann",
                "run_id": run_id,
                "source": source,
                **said,
            }
        )
        self.runs[run_id] = {
            "info": {"run_id": run_id, "user_id": "bob", "start_time": 1, "artifact_uri": "x"},
            "data": {
                "metrics": [{"key": "auc", "value": 0.9, "step": 3, "timestamp": 5}],
                "params": [{"key": "lr", "value": "0.1"}],
            },
        }
        self.files[f"1/{name}/{number}/model.bin"] = f"{name} {number}".encode()
        self.files[f"1/{name}/{number}/sub/conf.json"] = b"{}"

    def answer(self, call: str, query: dict[str, str]) -> dict[str, Any] | bytes | None:
        """The answer of a call; None if there is no such thing."""
        match call:
            case "mlflow/registered-models/search":
                return self._paged("registered_models", list(self.models.values()), query)
            case "mlflow/registered-models/get":
                found = self.models.get(query["name"])
                return found and {"registered_model": found}
            case "mlflow/model-versions/search":
                name = query["filter"].removeprefix("name=")[1:-1]
                return self._paged("model_versions", self.versions.get(name, []), query)
            case "mlflow/model-versions/get-download-uri":
                listed = self.versions[query["name"]]
                version = next(one for one in listed if one["version"] == query["version"])
                return {"artifact_uri": version["source"]}
            case "mlflow/runs/get":
                run = self.runs.get(query["run_id"])
                return run and {"run": run}
        return self._artifact(call, query)

    def _artifact(self, call: str, query: dict[str, str]) -> dict[str, Any] | bytes | None:
        if call == "mlflow-artifacts/artifacts":
            return {"files": self._listing(query["path"].strip("/"))}
        return self.files.get(parse.unquote(call.removeprefix("mlflow-artifacts/artifacts/")))

    def _paged(self, key: str, found: list[Any], query: dict[str, str]) -> dict[str, Any]:
        start = int(query.get("page_token") or 0)
        more = {"next_page_token": str(start + self.page)} if start + self.page < len(found) else {}
        return {key: found[start : start + self.page], **more}

    def _listing(self, folder: str) -> list[dict[str, Any]]:
        if folder in self.listed:
            return self.listed[folder]
        inside = [path.removeprefix(f"{folder}/") for path in self.files if path.startswith(folder)]
        folders = sorted({path.partition("/")[0] for path in inside if "/" in path})
        files = [
            {
                "path": path,
                "is_dir": False,
                "file_size": self.sizes.get(path, len(self.files[f"{folder}/{path}"])),
            }
            for path in inside
            if "/" not in path
        ]
        return [*files, *({"path": name, "is_dir": True} for name in folders)]


@contextlib.contextmanager
def serving(fake: FakeMlflow) -> Iterator[str]:
    """The server on a free port; its address."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, asked = self.path.partition("?")
            call = path.removeprefix(_API)
            fake.calls.append(call)
            if fake.unavailable:
                fake.unavailable -= 1
                self._send(503, b"away")
                return
            found = fake.answer(call, dict(parse.parse_qsl(asked)))
            if found is None:
                error = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such thing"}
                self._send(404, json.dumps(error).encode())
            else:
                self._send(200, found if isinstance(found, bytes) else json.dumps(found).encode())

        def _send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer((ports.LOOPBACK, 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{ports.LOOPBACK}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
