"""Systems and personas against which connectors are tried; nothing here runs in production."""
