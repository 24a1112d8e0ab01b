"""Tables of the hub room."""
