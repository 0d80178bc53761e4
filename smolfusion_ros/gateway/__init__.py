"""The robot over HTTP: JSON, server-sent events and a web page. Knows no ROS; a node gives it a ``Robot``."""
