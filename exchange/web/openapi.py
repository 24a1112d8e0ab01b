"""What `/openapi.json` says of bodies that are read by hand, and of how a caller shows who it is.

FastAPI describes what it parses itself; our bodies are parsed stricter than it can, so their models
are put into the document here.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from exchange.problems import Problem

REF = "#/components/schemas/{model}"
SECURITY: list[dict[str, list[str]]] = [{"dpop": []}]
_MODELS: list[type[BaseModel]] = [Problem]


def request_body(
    model: type[BaseModel], media_type: str = "application/json", *, secured: bool = True
) -> dict[str, Any]:
    """The `openapi_extra` of a route that takes `model`."""
    _MODELS.append(model)
    content = {media_type: {"schema": {"$ref": REF.format(model=model.__name__)}}}
    extra: dict[str, Any] = {"requestBody": {"required": True, "content": content}}
    return extra | ({"security": SECURITY} if secured else {})


def describe(app: FastAPI) -> None:
    """Complete the application's OpenAPI document, once it is first asked for."""
    plain = app.openapi

    def complete() -> dict[str, Any]:
        document = plain()
        components = document.setdefault("components", {})
        wanted = [(model, "validation") for model in _MODELS]
        _, made = models_json_schema(wanted, ref_template=REF)  # type: ignore[arg-type]  # pydantic asks for literals
        components.setdefault("schemas", {}).update(made.get("$defs", {}))
        components["securitySchemes"] = {
            "dpop": {
                "type": "http",
                "scheme": "DPoP",
                "description": "an access token bound to the client's key, and a proof a call "
                "in the header `DPoP` (RFC 9449)",
            }
        }
        return document

    app.openapi = complete  # type: ignore[method-assign]  # FastAPI's documented way
