"""A synthetic city: made from a seed, with three departments that are real systems."""
