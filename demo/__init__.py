"""A chat that shows flask_signalr at work; ``python -m demo`` starts it with a SignalR service of its own."""
