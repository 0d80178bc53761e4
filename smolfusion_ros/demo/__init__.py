"""The demo: the real stack, a visitor, and a view of both."""
