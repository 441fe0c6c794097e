"""The data-plane REST API of the service: sending, groups, and who is connected."""
