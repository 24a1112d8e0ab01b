"""Adding a source: look at it, propose its files, and try it before anything is scheduled.

    asking       from what an engineer types to a feed that can be looked at
    delivered    how the files that lie in a folder are named, packed and written
    answered     where in a JSON answer the rows are
    profile      what a sample says of each column: type, lengths, identifiers, code lists
    naming       what contracts call a column already
    proposal     a contract for a new dataset, columns for an existing one
    writing      both as YAML that says what a person must decide
    trial        whether what would be written loads, and what it would do to the sample
    checks       a manifest held against the living source, and against our own tables

Nothing here writes to a source or to a library, and no value of a row is printed or kept: what a
code list would be made of is the one exception, and it is written only where values repeat and do
not look like anybody's.
"""
