"""A negotiation, step by step, told to a person who wants to know where it fails."""
