"""Boards that run on the controller. Today that is the loopback board: a real SSH server and a Bot API stand-in."""
