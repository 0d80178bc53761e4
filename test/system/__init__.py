"""Tests that start the stack's real processes and talk to them as a robot's other nodes would."""
