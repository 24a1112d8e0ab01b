"""Who is who: several numbers of one person, entity or unit, and what says so.

    aliases     a batch says that an older number stands for a newer one  (libraries/aliases.py)
    histories   a row's own past says it: former names, replaced certificates
    linkage     Splink says that two rows may be one person: a proposal, never more
    review      proposals wait for a person, who confirms or rejects them
    decisions   a person says it, and may take it back
    resolving   where a number leads, now or at a past moment, and through what

Nothing is deleted. An alias is ended, and what it said of a past moment stays readable.
"""
