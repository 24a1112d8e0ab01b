"""The shared libraries."""
