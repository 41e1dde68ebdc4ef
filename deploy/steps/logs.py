"""Knows how to fetch the end of the gateway's log, made safe to show; where it lies is the service manager's."""

from __future__ import annotations

from deploy.errors import HostError
from deploy.model.display import clean
from deploy.service.face import ServiceManager
from deploy.transport.protocol import Transport


def log_tail(transport: Transport, service: ServiceManager, lines: int = 20) -> str:
    """The last lines of the log, or "" where even that can't be had: the first problem matters more."""
    try:
        return clean(transport.run(service.log(lines)).stdout)
    except HostError:
        return ""
