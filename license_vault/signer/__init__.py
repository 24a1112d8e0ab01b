"""The process that holds the sealing keys, and the client that asks it.

It signs nothing that it has not read: every request is parsed and compared with what the signer's
own read-only database role sees. `client` is what others import; the rest runs in the process.
"""
