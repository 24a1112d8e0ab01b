"""Agreements: from an application to a grant and its end; consents and mandates beside it.

Every deed here is one row of `hub.agreement_event` and one entry of the ledger, in the transaction
that does it. Nothing here answers a call, and nothing commits.
"""
