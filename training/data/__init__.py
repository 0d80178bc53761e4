"""Conversations between people and a robot, made from the action catalogue and a grammar of phrasings."""
