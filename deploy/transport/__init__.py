"""The only package that touches a network: one narrow protocol, SSH behind it, and the scripted fake beside it."""
