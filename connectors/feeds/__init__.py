"""Bulk feeds: how a whole dataset, and then its changes, come out of a department's system."""
