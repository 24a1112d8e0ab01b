"""The ways of asking beyond one query: all pass `exchange/decide.py`, none has rules of its own.

predicates  yes-or-no questions as SQL        allowance  what is left of a quota, as headers
"""
