"""The hub's routes: each parses, calls one use case and renders; none decides."""

from exchange.web import calls, clients, keys, ledger, licenses, pages, resolutions, tokens

ROUTERS = (
    tokens.router,
    keys.router,
    clients.router,
    calls.router,
    ledger.router,
    licenses.router,
    resolutions.router,
    pages.router,
)
