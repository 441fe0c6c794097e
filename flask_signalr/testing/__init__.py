"""Testing an app's real-time side: the emulated service in the process of the test, without sockets."""

from flask_signalr.errors import ConnectRefused, InvocationFailed, NegotiationRefused
from flask_signalr.testing.fake_connection import FakeConnection
from flask_signalr.testing.fake_service import FakeService

__all__ = ["ConnectRefused", "FakeConnection", "FakeService", "InvocationFailed", "NegotiationRefused"]
