"""What a gateway answers on /metrics, in the form of gateway/internal/health/metrics.go; some of its samples."""

from __future__ import annotations

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nConnection: close\r\n\r\n"
    b"# HELP picoclaw_info The version of this gateway.\n# TYPE picoclaw_info gauge\n"
    b'picoclaw_info{version="1\\n2"} 1\n'
    b"picoclaw_inbound_messages_total 51\npicoclaw_outbound_messages_total 50\npicoclaw_errors_total 2\n"
    b"picoclaw_heap_bytes 114656\npicoclaw_gc_cycles_total 5\npicoclaw_gc_cpu_seconds_total 0.001200\n"
)
