"""Bundles of service items: what is asked, what stands for it, and what is left to bring.

`bundle` holds the template as data, `resolve` answers one case, `seals` re-checks what comes back.
Nothing here knows a database or the exchange: sources are asked through the port in `asking`.
"""
