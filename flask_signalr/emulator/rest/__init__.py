"""The emulator's data-plane REST API 2024-12-01: values in, values out, and the views that put them on the wire."""
