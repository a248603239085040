"""The Image API by hand: one request, one answer, nothing hidden. Clients have manners; this has none."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PATCH_TYPE = "application/openstack-images-v2.1-json-patch"


@dataclass(frozen=True)
class Reply:
    """An answer as it came."""

    asked: str
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    def expect(self, *statuses: int) -> Reply:
        """Itself, if the status is one of these; else a failure that shows what came instead."""
        assert self.status in statuses, f"{self.asked}: {self.status}, not {statuses}: {self.body[:400]!r}"
        return self


class Wire:
    """Sends requests to one endpoint, each on a connection of its own."""

    def __init__(self, endpoint: str, timeout: float = 60.0) -> None:
        self.endpoint = endpoint
        self.timeout = timeout
        self._address = urlsplit(endpoint)

    def connect(self) -> http.client.HTTPConnection:
        """A fresh connection, for tests that stream by hand."""
        return http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=self.timeout)

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        json_body: Any = None,
        body: bytes | Iterable[bytes] | None = None,
    ) -> Reply:
        """Asks, and reads the whole answer."""
        sent = dict(headers or {})
        if json_body is not None:
            body = json.dumps(json_body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = self.connect()
        try:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            return Reply(f"{method} {path}", answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        """GET."""
        return self.request("GET", path, headers)

    def create(self, attributes: Mapping[str, Any], store: str | None = None) -> dict[str, Any]:
        """Creates an image without data, in `store` if one is named, and answers it."""
        headers = {"X-Image-Meta-Store": store} if store else None
        return self.request("POST", "/v2/images", headers, json_body=attributes).expect(201).json()

    def upload(self, image_id: str, data: bytes, store: str | None = None) -> Reply:
        """Gives an image its data."""
        headers = {"Content-Type": "application/octet-stream"}
        if store:
            headers["X-Image-Meta-Store"] = store
        return self.request("PUT", f"/v2/images/{image_id}/file", headers, body=data)

    def patch(self, image_id: str, *changes: Mapping[str, Any]) -> Reply:
        """Changes an image by JSON patch operations."""
        headers = {"Content-Type": PATCH_TYPE}
        return self.request("PATCH", f"/v2/images/{image_id}", headers, json_body=list(changes))

    def show(self, image_id: str) -> dict[str, Any]:
        """The image."""
        return self.get(f"/v2/images/{image_id}").expect(200).json()

    def forget(self, image_id: str) -> None:
        """Deletes the image if it is still there, protected or not."""
        reply = self.request("DELETE", f"/v2/images/{image_id}")
        if reply.status == 403:
            self.patch(image_id, {"op": "replace", "path": "/protected", "value": False}).expect(200)
            reply = self.request("DELETE", f"/v2/images/{image_id}")
        reply.expect(204, 404)
