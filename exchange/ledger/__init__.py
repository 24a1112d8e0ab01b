"""The ledger: what was asked, by whom and why, kept so that nobody has to trust us.

entries      one call as canonical bytes          writer       commits many of them at once
integrator   gives each its place in the tree     checkpoints  signed heads of the tree
proofs       one entry's proof, and its check     audit        recomputes everything
accesses     the citizen's own log
"""
