"""Tables of the vault room."""
