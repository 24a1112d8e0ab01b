"""The demo: a synthetic city, the product beside it, and a story told from what really happened.

Nothing here is needed by the product. It plays the people around it: the departments' clerks, the
client systems, the verifier; every figure it tells is read from the product or counted by a judge.
"""
