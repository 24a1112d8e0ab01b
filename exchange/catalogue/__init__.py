"""The catalogue: systems and channels, resources and their published versions, imported lists.

A resource's fields come from its dataset's contract; what a contract does not say (who may have it
under which condition, how often it is brought up to date) is proposed, approved by another person,
and published for good. Who is answered is decided elsewhere.
"""
