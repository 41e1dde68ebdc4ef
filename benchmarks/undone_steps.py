"""Knows what each thing that made the gateway small is, as its undoing. `gateway_undone.py` builds and runs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

UNDONE = Path(__file__).parent / "undone"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing undone. `edits` are (file of the gateway, its text, what stands there instead), `added` new files."""

    name: str
    edits: tuple[tuple[str, str, str], ...] = ()
    added: tuple[tuple[str, str], ...] = ()
    tags: str = "telegram,smallbuf"
    trimmed: bool = False
    """Whether the bundle holds the one authority that is needed, and not all of the system's."""


PAGES = (
    "internal/pages/release_linux.go",
    'exe, err := os.Readlink("/proc/self/exe")',
    'if os.Getpid() > 0 {\n\t\treturn Program{}, nil\n\t}\n\texe, err := os.Readlink("/proc/self/exe")',
)
"""The release of pages undone."""

_BOT, _POLL = "internal/telegram/bot.go", "internal/telegram/poll.go"
STEPS = (
    Step("the gateway"),
    Step(
        "no net/http",
        (
            ("internal/wire/client.go", ") Post(path", ") ownPost(path"),
            ("internal/health/server.go", "func Serve(", "func ownServe("),
        ),
        (("internal/wire/net_http.go", "net_http"), ("internal/health/net_http.go", "net_http_health")),
    ),
    Step(
        "no encoding/json",
        (
            (_BOT, ") readAnswer(status", ") ownReadAnswer(status"),
            (_BOT, ") Send(message", ") ownSend(message"),
            (_BOT, "type reading struct", "type reader = jsonstream.Reader\n\ntype reading struct"),
        ),
        (("internal/telegram/encoding_json.go", "encoding_json"),),
    ),
    Step("release of pages", (PAGES,)),
    Step("smaller buffers (smallbuf)", tags="telegram"),
    Step(
        "buffers that are used again",
        (
            ("internal/telegram/texts.go", "if cap(buffer) > most {", "if cap(buffer) >= 0 {"),
            ("internal/wire/client.go", "if cap(to) <= mostRequest {", "if cap(to) < 0 {"),
            ("internal/jsonstream/text.go", "if cap(text) <= 1024 {", "if cap(text) < 0 {"),
            (_BOT, "b.updates = b.updates[:0]", "b.updates = nil"),
            (
                _BOT,
                "b.buffer.Reset(content)\n\tb.json.Reset(b.buffer)",
                "b.buffer = bufio.NewReaderSize(content, sizes.Shared)\n\tb.json = jsonstream.NewReader(b.buffer)",
            ),
        ),
    ),
    Step(
        "a struct, not a map, for what is known of a message",
        (
            (
                _POLL,
                "\tp.Stats.Inbound.Add(1)\n",
                "\tp.Stats.Inbound.Add(1)\n\tmetadata := message.metadata()\n\tmessage.fromMetadata(metadata)\n",
            ),
        ),
        (("internal/telegram/map_for_metadata.go", "map_for_metadata"),),
    ),
    Step(
        "a config for Telegram only",
        (
            ("internal/config/config.go", "\tconfig.Path = path\n", "\tconfig.Path = path\n\tkeepWhole(text)\n"),
            (
                "internal/jsonstream/reader.go",
                "// Skip reads",
                "func (r *Reader) Kind() (byte, error) { return r.first() }\n\n// Skip reads",
            ),
        ),
        (("internal/config/whole.go", "whole_config"),),
    ),
    Step(
        "one authority looked up, not all held",
        (
            (
                "cmd/picoclaw/provider.go",
                "\tif known {\n\t\ttrusted.Secure(config, host)\n",
                "\tif pool, err := x509.SystemCertPool(); known && err == nil {\n"
                "\t\t_ = trusted\n\t\tconfig.RootCAs = pool\n",
            ),
            ("cmd/picoclaw/provider.go", '\t"crypto/tls"\n', '\t"crypto/tls"\n\t"crypto/x509"\n'),
        ),
    ),
)
FURTHER = (
    Step("with a bundle of one authority", trimmed=True),
    Step("with nohealth", tags="telegram,smallbuf,nohealth"),
)
