"""The hub's first page: what is in the libraries, the vault and the ledger now."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates

from exchange.overview import overview

router = APIRouter()
TEMPLATES = Jinja2Templates(directory=Path(__file__).parent / "templates")


@router.get("/", response_class=HTMLResponse, summary="What is here, in figures")
async def first_page(request: Request) -> HTMLResponse:
    """A page for people: figures only, nothing about any person."""
    hub = request.app.state.hub
    found = await overview(hub.pool, hub.settings.home)
    return TEMPLATES.TemplateResponse(request, "home.html", {"overview": found})
