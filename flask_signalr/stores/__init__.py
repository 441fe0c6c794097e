"""Stores: the few facts that the processes of an app share."""
