"""What the tests of readings share: processes that stand in for a gateway, and end with the test."""

from gateways import gateways

__all__ = ["gateways"]
