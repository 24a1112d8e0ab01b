"""How large the city of the shared demo is."""

from __future__ import annotations

PEOPLE = 1000
LICENSES = 20
SEED = 7
